/* engine_config.h: what tinyrig must know of this engine before a board runs it. Literals only. */
#ifndef ENGINE_CONFIG_H
#define ENGINE_CONFIG_H

#define ENGINE_NAME "own"
#define ENGINE_ARENA_BYTES 1024 /* two rows of OWN_WIDTH floats */

enum { OWN_WIDTH = 128, OWN_MAX_LAYERS = 8 };

#endif
