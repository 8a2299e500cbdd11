/* flash_id.c: the RP2040 has no number of its own; its flash has (command 4Bh, as Winbond's W25Q series and others know it). The
 * flash can't be read as memory meanwhile, so this runs from RAM. boot2.c leaves it in plain SPI mode, to which it returns. */
#include "rp2040.h"

enum {
    READ_UNIQUE_ID = 0x4B,
    BYTES_BEFORE = 5, /* the command and four that mean nothing */
    BYTES = BYTES_BEFORE + 8,
    FRAMES_OF_8_BITS = 7 << 16, /* sends and receives at once */
};

/* Words, so that no call of memset or memcpy, which are in the flash, comes of it. */
__attribute__((section(".ram_code"), noinline, long_call, optimize("no-tree-loop-distribute-patterns"))) static void
ask_flash(volatile uint32_t answer[BYTES])
{
    uint32_t mode = SSI_CTRLR0, xip = SSI_SPI_CTRLR0, select = QSPI_SS_CTRL;
    while (SSI_SR & SR_BUSY) {}
    SSI_SSIENR = 0;
    SSI_CTRLR0 = FRAMES_OF_8_BITS;
    SSI_SSIENR = 1;
    QSPI_SS_CTRL = (select & ~OUTOVER_HIGH) | OUTOVER_LOW;
    for (uint32_t i = 0; i < BYTES; i++) /* the controller's queue holds 16 */
        SSI_DR0 = i ? 0 : READ_UNIQUE_ID;
    for (uint32_t i = 0; i < BYTES; i++) {
        while (!(SSI_SR & SR_RFNE)) {}
        answer[i] = SSI_DR0;
    }
    QSPI_SS_CTRL = select;
    SSI_SSIENR = 0;
    SSI_CTRLR0 = mode;
    SSI_CTRLR1 = 0;
    SSI_SPI_CTRLR0 = xip;
    SSI_SSIENR = 1;
}

int flash_unique_id(uint8_t id[8])
{
    volatile uint32_t answer[BYTES];
    uint32_t any = 0;
    ask_flash(answer);
    for (int i = 0; i < 8; i++) {
        id[i] = (uint8_t)answer[BYTES_BEFORE + i];
        any |= id[i];
    }
    return any != 0;
}
