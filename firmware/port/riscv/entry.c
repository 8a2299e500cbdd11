/* entry.c: where startup.c goes once memory is in order. */
#include "../../app/main.h"

int main(void)
{
    app_main();
}
