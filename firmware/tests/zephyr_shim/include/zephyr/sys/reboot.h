/* reboot.h: see ../kernel.h. */
#ifndef ZEPHYR_REBOOT_H
#define ZEPHYR_REBOOT_H

#define SYS_REBOOT_COLD 1

void sys_reboot(int type);

#endif
