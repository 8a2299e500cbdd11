/* boot2.c: the first 256 bytes of the flash. The boot ROM copies them to RAM, checks their last word and runs them: they let the
 * flash be read as memory, with the command 03h, one bit at a time, which every flash of this kind knows, and start the image
 * behind them. Whatever the cache of 16 KiB does not hold comes slowly that way.
 *
 * Sources: RP2040 datasheet 2.8.1.3 (second stage), 2.8.1.3.1 (checksum: CRC-32 without reflection and final inversion), 4.10.13
 * (SSI). */

/* 0x001F0300: read after command, 32-bit frames. 0x03000218: command 03h of 8 bits, address of 24. */
__asm(".section .boot2, \"ax\", %progbits\n"
      ".syntax unified\n"
      ".thumb\n"
      ".balign 256\n"
      "boot2_start:\n"
      "ldr r3, =0x18000000\n" /* SSI */
      "movs r1, #0\n"
      "str r1, [r3, #8]\n" /* SSIENR: off */
      "movs r1, #4\n"
      "str r1, [r3, #20]\n" /* BAUDR: a quarter of the system's clock */
      "ldr r1, =0x001F0300\n"
      "str r1, [r3, #0]\n" /* CTRLR0 */
      "movs r1, #0\n"
      "str r1, [r3, #4]\n" /* CTRLR1: one frame a read */
      "ldr r1, =0x03000218\n"
      "ldr r0, =0x180000F4\n"
      "str r1, [r0]\n" /* SPI_CTRLR0 */
      "movs r1, #1\n"
      "str r1, [r3, #8]\n"    /* SSIENR: on */
      "ldr r0, =0x10000100\n" /* the image's vectors */
      "ldr r1, =0xE000ED08\n" /* VTOR */
      "str r0, [r1]\n"
      "ldr r1, [r0]\n"
      "msr msp, r1\n"
      "ldr r1, [r0, #4]\n"
      "bx r1\n"
      ".balign 4\n"
      ".ltorg\n"
      ".org boot2_start + 252, 0\n"
      ".word 0x48C9507E\n" /* checksum */
      ".previous\n");
