/* mbed.h: as much of Mbed OS 6 as firmware/port/arduino uses. A thread here is a call on the stack it was given. */
#ifndef MBED_H
#define MBED_H

#include <stdint.h>

typedef enum { osPriorityBelowNormal = 16, osPriorityNormal = 24 } osPriority;
typedef int32_t osStatus;

namespace rtos
{
class Thread
{
  public:
    Thread(osPriority, uint32_t stack_bytes, unsigned char *stack, const char *) : top(stack + stack_bytes)
    {
    }
    osStatus start(void (*task)(void));

  private:
    unsigned char *top;
};
} // namespace rtos

#endif
