/* The scheduling rule. The scheduler applies it to rows at every call, the engine to chunks that wait for a row. */
#include "flow/flow.h"

static const double AGEING = 0.1; /* share of the work done for others that is subtracted from a waiting row's own */

double ishow_remaining_work(double left, int later, double work, double others) {
    return left + (later ? work : 0) - AGEING * others;
}

int ishow_goes_before(ishow_scheduling_key a, ishow_scheduling_key b) {
    if (a.priority != b.priority) return a.priority > b.priority;
    return a.urgent_by != b.urgent_by ? a.urgent_by < b.urgent_by : a.remaining < b.remaining;
}
