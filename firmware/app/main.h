/* main.h: the firmware itself, for whatever main the port or its framework has. */
#ifndef MAIN_H
#define MAIN_H

/* Prepares port and engine, then answers requests for ever. */
void app_main(void);

#endif
