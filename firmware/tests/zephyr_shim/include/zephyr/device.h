/* device.h: see kernel.h. */
#ifndef ZEPHYR_DEVICE_H
#define ZEPHYR_DEVICE_H

#include <stdbool.h>

struct device {
    const char *name;
};

extern const struct device shim_console;
#define DEVICE_DT_GET(node) DEVICE_OF(node)
#define DEVICE_OF(node) (&shim_##node)

bool device_is_ready(const struct device *dev);

#endif
