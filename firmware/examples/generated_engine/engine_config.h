/* engine_config.h: what tinyrig must know of this engine before a board runs it. Literals only. */
#ifndef ENGINE_CONFIG_H
#define ENGINE_CONFIG_H

#define ENGINE_NAME "generated"
#define ENGINE_ARENA_BYTES 256 /* room for input and output; the generated code's own buffers count as static RAM */

#endif
