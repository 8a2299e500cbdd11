/* port.c: the host's port, whatever it calls of the operating system being line.c's. Like this a function that is added to
 * port.h and to port/host/port.c needs nothing here. */
#define poll line_poll
#define read line_read
#define write line_write
#define clock_gettime line_clock
#define execv line_execv
#define exit line_exit
#include "../port/host/port.c"
