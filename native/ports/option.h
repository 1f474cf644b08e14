/*
 * option.h ① — reads a port's argument: MAIN[,key=value…]. Every kind names its keys in one table; a key that is not in
 * it is refused with the list of those that are.
 */
#ifndef GATEWAY_PORT_OPTION_H
#define GATEWAY_PORT_OPTION_H

#include <stddef.h>

enum option_limit { OPTION_TEXT_BYTES = 512 };

struct option {
    const char *key;
    char value[OPTION_TEXT_BYTES]; /* empty: not given */
};

/* Copies MAIN into `main_text` (OPTION_TEXT_BYTES) and each value into its row. 0, or -1 with one line in `error`. */
int option_parse(const char *kind, const char *argument, char *main_text, struct option *options, int count, char *error);

/* A whole number between the bounds; `fallback` where the option is empty. 0, or -1 with one line in `error`. */
int option_number(const char *kind, const struct option *option, long low, long high, long fallback, long *number,
                  char *error);

#endif
