/* The approximate value of a payment, to compare amounts in different currencies. */
#include <math.h>
#include <string.h>

#include "chat/chat_internal.h"

static const double BIT = 0.01; /* USD */
static const double UNKNOWN =
    0.01; /* USD for one unit of a currency that is not in the table: an invented currency must not raise a message */

/* Approximate USD for one unit; the order of the queue needs no better. */
static const struct {
    char code[4];
    double worth;
} currencies[] = {
    {"USD", 1},        {"EUR", 1.1},   {"GBP", 1.3},     {"JPY", 0.0067}, {"CNY", 0.14},    {"KRW", 0.00073},
    {"TWD", 0.031},    {"HKD", 0.13},  {"CAD", 0.73},    {"AUD", 0.66},   {"NZD", 0.6},     {"CHF", 1.13},
    {"SEK", 0.096},    {"NOK", 0.094}, {"DKK", 0.147},   {"PLN", 0.26},   {"CZK", 0.044},   {"HUF", 0.0028},
    {"RON", 0.22},     {"BGN", 0.56},  {"RUB", 0.011},   {"UAH", 0.024},  {"TRY", 0.029},   {"INR", 0.012},
    {"IDR", 0.000063}, {"THB", 0.028}, {"VND", 0.00004}, {"PHP", 0.0175}, {"MYR", 0.22},    {"SGD", 0.75},
    {"BRL", 0.18},     {"MXN", 0.055}, {"ARS", 0.001},   {"CLP", 0.0011}, {"COP", 0.00024}, {"PEN", 0.27},
    {"ZAR", 0.055},    {"ILS", 0.27},  {"AED", 0.27},    {"SAR", 0.27},   {"EGP", 0.02}};

double money_worth(uint64_t bits, int64_t micros, const char *currency) {
    if (bits) return BIT * (double)bits;
    if (micros <= 0) return 0;
    double worth = *currency ? UNKNOWN : 1; /* without a currency it is counted as USD */
    for (size_t i = 0; i < sizeof currencies / sizeof *currencies; i++)
        if (!strcmp(currencies[i].code, currency)) worth = currencies[i].worth;
    return worth * 1e-6 * (double)micros;
}

double money_lift(double worth) {
    const double lift = worth > 0 ? 1 + log2(1 + 10 * worth) : 0;
    return lift < MONEY_LIFT_MAX ? lift : MONEY_LIFT_MAX;
}
