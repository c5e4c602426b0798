/* Before main begins, Rust's runtime calls signal(SIGPIPE, SIG_IGN), and the stock qemu-wrapper would inherit that. Nothing else
 * in this program calls signal(), so this replacement does nothing. */
#include <signal.h>

void (*signal(int number, void (*handler)(int)))(int)
{
    (void)number;
    (void)handler;
    return SIG_DFL;
}
