/* devicetree.h: see kernel.h. The one node is the console. */
#ifndef ZEPHYR_DEVICETREE_H
#define ZEPHYR_DEVICETREE_H

#define DT_CHOSEN(name) DT_CHOSEN_##name
#define DT_CHOSEN_zephyr_console console
#ifdef SHIM_NO_CONSOLE
#define DT_HAS_CHOSEN(name) 0
#else
#define DT_HAS_CHOSEN(name) 1
#endif

#endif
