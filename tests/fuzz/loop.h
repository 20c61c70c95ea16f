/* A server in this process, on the fake model, and how long its loop is busy. */
#ifndef ISHOW_FUZZ_LOOP_H
#define ISHOW_FUZZ_LOOP_H

#include "../c/server_rig.h"

rig *loop_server(void); /* made by the first call */

void loop_settle(void); /* until the server has handled what was sent before: it then answers another connection */

/* Settles, and aborts when the thread that answers HTTP used more than 50 ms of processor time since the last call,
 * that is for an input of n bytes. The most and the mean are printed at the end. */
void loop_check(size_t n);

#endif
