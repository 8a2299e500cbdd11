/* main.c: the process begins here; tests that have a main of their own leave it out. */
#include "../../app/main.h"

int main(void)
{
    app_main();
}
