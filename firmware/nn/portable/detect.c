#include <math.h>
#include <string.h>

#include "nn_detect.h"

/* Corners (top, left, bottom, right) from centre and size, in double as the reference has it: which box wins hangs on it. */
static void decode(const nn_detect_shape *p, const float *codes, const float *anchors, float *boxes) {
    for (int32_t b = 0; b < p->boxes; b++, codes += p->coded, anchors += 4, boxes += 4) {
        for (int32_t i = 0; i < 2; i++) {
            double side = anchors[2 + i], length = (double)codes[2 + i] / (double)p->scales[2 + i];
            float centre = (float)((double)codes[i] / (double)p->scales[i] * side + (double)anchors[i]);
            float half = (float)(0.5 * exp(length) * side);
            boxes[i] = centre - half;
            boxes[2 + i] = centre + half;
        }
    }
}

static inline float side(float low, float high) { return high - low > 0 ? high - low : 0; }

/* The common area's share of both together. */
static float overlap(const float *a, const float *b) {
    float area_a = (a[2] - a[0]) * (a[3] - a[1]), area_b = (b[2] - b[0]) * (b[3] - b[1]);
    if (area_a <= 0 || area_b <= 0) {
        return 0;
    }
    float top = a[0] > b[0] ? a[0] : b[0], left = a[1] > b[1] ? a[1] : b[1];
    float bottom = a[2] < b[2] ? a[2] : b[2], right = a[3] < b[3] ? a[3] : b[3];
    float common = side(top, bottom) * side(left, right);
    return common / (area_a + area_b - common);
}

/* The best box that is alive, the first of equal ones; -1: none. It and all that it covers die. */
static int32_t next(const nn_detect_shape *p, const nn_detect_room *r) {
    int32_t best = -1;
    for (int32_t b = 0; b < p->boxes; b++) {
        if (r->alive[b] && (best < 0 || r->scores[b] > r->scores[best])) {
            best = b;
        }
    }
    for (int32_t b = 0; best >= 0 && b < p->boxes; b++) {
        if (r->alive[b] && (b == best || overlap(r->decoded + 4 * best, r->decoded + 4 * b) > p->most_overlap)) {
            r->alive[b] = 0;
        }
    }
    return best;
}

/* Into the list of those found, behind all that score as high; what falls off its end is dropped. */
static int32_t insert(const nn_detect_shape *p, int32_t n, const float *box, int32_t class, float score, float *boxes,
                      float *classes, float *found) {
    int32_t at = n;
    while (at > 0 && found[at - 1] < score) {
        at--;
    }
    if (at == p->most) {
        return n;
    }
    int32_t behind = (n < p->most ? n : p->most - 1) - at;
    memmove(boxes + 4 * (at + 1), boxes + 4 * at, (size_t)behind * 4 * sizeof *boxes);
    memmove(classes + at + 1, classes + at, (size_t)behind * sizeof *classes);
    memmove(found + at + 1, found + at, (size_t)behind * sizeof *found);
    memcpy(boxes + 4 * at, box, 4 * sizeof *boxes);
    classes[at] = (float)class;
    found[at] = score;
    return n < p->most ? n + 1 : n;
}

static inline int32_t best_of(const float *scores, int32_t n) {
    int32_t best = 0;
    for (int32_t c = 1; c < n; c++) {
        best = scores[c] > scores[best] ? c : best;
    }
    return best;
}

void nn_detect(const nn_detect_shape *p, const nn_detect_room *r, const float *codes, const float *scores, const float *anchors,
               float *boxes, float *classes, float *found, float *count) {
    int32_t n = 0, rounds = p->per_class ? p->classes : 1, most = p->per_class ? p->per_class : p->most;
    memset(boxes, 0, (size_t)p->most * 4 * sizeof *boxes);
    memset(classes, 0, (size_t)p->most * sizeof *classes);
    memset(found, 0, (size_t)p->most * sizeof *found);
    decode(p, codes, anchors, r->decoded);
    scores += p->scored - p->classes;
    for (int32_t class = 0; class < rounds; class ++) {
        for (int32_t b = 0; b < p->boxes; b++) {
            const float *own = scores + b * p->scored;
            r->scores[b] = own[p->per_class ? class : best_of(own, p->classes)];
            r->alive[b] = r->scores[b] >= p->least_score;
        }
        for (int32_t i = 0, b; i < most && (b = next(p, r)) >= 0; i++) {
            int32_t of = p->per_class ? class : best_of(scores + b * p->scored, p->classes);
            n = insert(p, n, r->decoded + 4 * b, of, r->scores[b], boxes, classes, found);
        }
    }
    *count = (float)n;
}
