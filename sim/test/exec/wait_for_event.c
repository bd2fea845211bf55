// SPDX-License-Identifier: MIT
/* Says "waiting", waits for an event that never comes, and says how the wait ended. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <xenevtchn.h>

int main(void)
{
    xenevtchn_handle *xce = xenevtchn_open(NULL, 0);
    if (!xce)
        return 2;
    puts("waiting");
    fflush(stdout);
    int port = xenevtchn_pending(xce);
    puts(port < 0 ? strerror(errno) : "an event");
    /* Nothing works any more, and nothing hangs. */
    int bad = xenevtchn_bind_unbound_port(xce, 0) != -1 || errno != EPIPE;
    return xenevtchn_close(xce) || bad;
}
