/* replay.c: runs a fuzz target on files, for compilers without libFuzzer. Names every file before it is run, so that the last
 * one named is the one that failed. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *name)
{
    static uint8_t room[1 << 16];
    FILE *file = fopen(name, "rb");
    CHECK(file);
    size_t n = fread(room, 1, sizeof room, file);
    fclose(file);
    uint8_t *exact = malloc(n + !n); /* so that the sanitizer sees a read beyond the end */
    memcpy(exact, room, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

int main(int count, char **names)
{
    for (int i = 1; i < count; i++) {
        fprintf(stderr, "%s\n", names[i]);
        replay(names[i]);
    }
    return 0;
}
