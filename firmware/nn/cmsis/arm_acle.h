/* arm_acle.h: lets CMSIS-NN's sources compile on a host too.
 *
 * CMSIS-NN includes <arm_acle.h> without asking for which processor it is built. On Arm this hands on to the compiler's
 * own header; elsewhere there is nothing to declare, because without __ARM_FEATURE_DSP only its plain C path is built. */
#ifndef TINYRIG_ARM_ACLE_H
#define TINYRIG_ARM_ACLE_H

#if defined(__arm__)
#include_next <arm_acle.h>
#endif

#endif
