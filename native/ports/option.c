/* option.c ① — see option.h. */
#include "option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../port.h"

static int refuse_key(const char *kind, const char *text, size_t length, const struct option *options, int count,
                      char *error)
{
    int used = snprintf(error, PORT_ERROR_BYTES, "port %s: %.*s is not an option; known: ", kind,
                        length > 64 ? 64 : (int)length, text);
    for (int index = 0; index < count && used < PORT_ERROR_BYTES; index++)
        used += snprintf(error + used, (size_t)(PORT_ERROR_BYTES - used), "%s%s=", index ? " " : "", options[index].key);
    if (count == 0 && used < PORT_ERROR_BYTES)
        snprintf(error + used, (size_t)(PORT_ERROR_BYTES - used), "none");
    return -1;
}

static int copy_text(const char *kind, const char *text, size_t length, char *copy, char *error)
{
    if (length >= OPTION_TEXT_BYTES) {
        snprintf(error, PORT_ERROR_BYTES, "port %s: an argument is longer than %d bytes", kind, OPTION_TEXT_BYTES - 1);
        return -1;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    return 0;
}

static int take_pair(const char *kind, const char *text, size_t length, struct option *options, int count, char *error)
{
    const char *equals = memchr(text, '=', length);
    size_t key_length = equals ? (size_t)(equals - text) : length;
    for (int index = 0; index < count; index++) {
        if (strlen(options[index].key) != key_length || memcmp(options[index].key, text, key_length) != 0)
            continue;
        if (equals == NULL || key_length + 1 == length) {
            snprintf(error, PORT_ERROR_BYTES, "port %s: %s= has no value", kind, options[index].key);
            return -1;
        }
        return copy_text(kind, equals + 1, length - key_length - 1, options[index].value, error);
    }
    return refuse_key(kind, text, key_length, options, count, error);
}

int option_parse(const char *kind, const char *argument, char *main_text, struct option *options, int count, char *error)
{
    size_t length = strcspn(argument, ",");
    if (copy_text(kind, argument, length, main_text, error) != 0)
        return -1;
    for (const char *text = argument + length; *text == ','; text += length) {
        text++;
        length = strcspn(text, ",");
        if (take_pair(kind, text, length, options, count, error) != 0)
            return -1;
    }
    return 0;
}

int option_number(const char *kind, const struct option *option, long low, long high, long fallback, long *number,
                  char *error)
{
    char *end = NULL;
    *number = fallback;
    if (option->value[0] == '\0')
        return 0;
    errno = 0;
    *number = strtol(option->value, &end, 10);
    if (errno == 0 && *end == '\0' && *number >= low && *number <= high)
        return 0;
    snprintf(error, PORT_ERROR_BYTES, "port %s: %s=%.64s is not a whole number from %ld to %ld", kind, option->key,
             option->value, low, high);
    return -1;
}
