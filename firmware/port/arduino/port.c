/* port.c: port.h over the Arduino API. The chip itself is in chip.c. */
#include "../port.h"

#include "chip.h"
#include "usb.h"

void port_init(void)
{
    chip_init();
}

const char *port_name(void)
{
    return "nano33ble";
}

uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us)
{
    uint32_t got = 0, last = usb_micros();
    while (got < n) {
        uint32_t more = usb_read((uint8_t *)dst + got, n - got);
        got += more;
        if (more)
            last = usb_micros();
        else if (timeout_us && usb_micros() - last > timeout_us)
            break;
        port_idle(); /* last: what arrives meanwhile is looked at before the silence is */
    }
    return got;
}

void port_write(const void *src, uint32_t n)
{
    usb_write(src, n);
}
