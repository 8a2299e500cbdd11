/* nn_detect.h: the head of detection models, TFLite_Detection_PostProcess. */
#ifndef NN_DETECT_H
#define NN_DETECT_H

#include "nn.h"

/* coded: numbers a box, of which four count; scored: scores a box, of `classes` and perhaps of the background in front.
 * per_class: most boxes of one class; 0: a box counts for its best class alone. scales: of y, x, height and width. */
typedef struct {
    int32_t boxes, coded, scored, classes, most, per_class;
    float least_score, most_overlap;
    float scales[4];
} nn_detect_shape;

/* decoded: room for 4 numbers a box; scores: for one; alive: a byte for each. What is not found is zeros. */
typedef struct {
    float *decoded, *scores;
    uint8_t *alive;
} nn_detect_room;

void nn_detect(const nn_detect_shape *p, const nn_detect_room *room, const float *codes, const float *scores,
               const float *anchors, float *boxes, float *classes, float *found, float *count);

#endif
