/* line.h: the board's end of a line inside one process. Bytes come in bursts; after every burst the line is silent for
 * longer than WIRE_SILENCE_US. */
#ifndef LINE_H
#define LINE_H

#include <stdint.h>

typedef struct {
    const uint8_t *bytes; /* NULL: no more, the run ends */
    uint32_t n;
} line_burst;

/* Called when the board has taken all of the last burst and waits for more. `sent`: what it wrote since the call before. */
typedef line_burst (*line_source)(const uint8_t *sent, uint32_t n);

/* Powers the board up, its memory as after a reset, and lets it work until the source is at its end. */
void line_run(line_source source);

/* How often the board has reset itself, since the process began. */
uint32_t line_resets(void);

#endif
