/* SPDX-License-Identifier: MIT */
#include "run.h"

int main(int argc, char **argv)
{
    static const struct peer_ops *const peers[] = {&peer_inproc, &peer_process, &peer_program, &peer_attach, &peer_qemu, NULL};

    return conform_main(argc, argv, conform_groups, peers);
}
