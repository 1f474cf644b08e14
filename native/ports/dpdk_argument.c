/* dpdk_argument.c ① — see dpdk_argument.h. */
#include "dpdk_argument.h"

#include <rte_common.h>
#include <stdio.h>
#include <string.h>

#include "../port.h"
#include "dpdk_eal_check.h"
#include "dpdk_host.h"
#include "dpdk_name.h"

enum {
    OPTION_HUGE,
    OPTION_MEMORY,
    OPTION_DESCRIPTORS,
    OPTION_EAL,
    OPTION_QUEUES,
    OPTION_MTU,
    OPTION_PROMISCUOUS,
    OPTIONS
};

static int refuse(char *error, int outcome, const char *device, const char *text)
{
    snprintf(error, PORT_ERROR_BYTES, "port dpdk:%.*s: %.170s", (int)RTE_MIN(strcspn(device, ","), 40u), device, text);
    return outcome;
}

/* Splits the argument into the device with its driver's keys, and our own keys. */
static int split_argument(const char *argument, char *device, struct option *options, char *error)
{
    size_t used = strcspn(argument, ","), length = 0;
    if (strlen(argument) >= OPTION_TEXT_BYTES)
        return refuse(error, PORT_MISNAMED, argument, "the argument is longer than 511 bytes");
    snprintf(device, OPTION_TEXT_BYTES, "%.*s", (int)used, argument);
    for (const char *pair = argument + used; *pair == ','; pair += length) {
        length = strcspn(++pair, ",");
        struct option *ours = NULL;
        for (int index = 0; index < OPTIONS && ours == NULL; index++)
            if (strncmp(pair, options[index].key, strlen(options[index].key)) == 0 &&
                pair[strlen(options[index].key)] == '=')
                ours = &options[index];
        if (ours)
            snprintf(ours->value, sizeof ours->value, "%.*s", (int)(length - strlen(ours->key) - 1),
                     pair + strlen(ours->key) + 1);
        else
            used += (size_t)snprintf(device + used, OPTION_TEXT_BYTES - used, ",%.*s", (int)length, pair);
    }
    return 0;
}

static int is_driver(const char *device, const char *driver)
{
    return strncmp(device, driver, strlen(driver)) == 0;
}

/* A driver whose other side counts queues too is told by its own key. */
static int tell_queues(struct dpdk_argument *argument, char *error)
{
    const char *key = is_driver(argument->device, "net_vhost") || is_driver(argument->device, "net_virtio_user")
                          ? "queues"
                          : is_driver(argument->device, "net_af_packet") ? "qpairs" : NULL;
    size_t used = strlen(argument->device);
    if (key == NULL || argument->queues == 1)
        return 0;
    int more = snprintf(argument->device + used, sizeof argument->device - used, ",%s=%u", key, argument->queues);
    if (more < 0 || (size_t)more >= sizeof argument->device - used)
        return refuse(error, PORT_MISNAMED, argument->device, "the argument is longer than 511 bytes");
    return 0;
}

static int choose(const struct option *options, struct dpdk_argument *argument, char *error)
{
    const char *huge = options[OPTION_HUGE].value;
    struct eal_choice *choice = &argument->choice;
    *choice = (struct eal_choice){.device = argument->device,
                                  .is_pci = dpdk_name_is_pci(argument->device),
                                  .extra = argument->extra};
    if (huge[0] && strcmp(huge, "yes") != 0 && strcmp(huge, "no") != 0)
        return refuse(error, PORT_MISNAMED, argument->device, "huge= is yes or no");
    choice->huge_pages = huge[0] ? huge[0] == 'y' : host_free_huge_mib() >= HOST_HUGE_MIB_MIN;
    return option_number("dpdk", &options[OPTION_MEMORY], 64, 65536, DPDK_MEMORY_MIB_DEFAULT, &choice->memory_mib,
                         error);
}

static int choose_promiscuous(const char *value, struct dpdk_argument *argument, char *error)
{
    static const char *const words[] = {"auto", "yes", "no"};
    for (int word = PROMISCUOUS_AUTO; word <= PROMISCUOUS_NO; word++)
        if (strcmp(value[0] ? value : "auto", words[word]) == 0) {
            argument->promiscuous = (enum dpdk_promiscuous)word;
            return 0;
        }
    return refuse(error, PORT_MISNAMED, argument->device, "promiscuous= is auto, yes or no");
}

static int choose_numbers(const struct option *options, struct dpdk_argument *argument, char *error)
{
    long descriptors = 0, queues = 0, mtu = 0;
    if (option_number("dpdk", &options[OPTION_DESCRIPTORS], 64, DPDK_DESCRIPTORS_MAX, DPDK_DESCRIPTORS_DEFAULT,
                      &descriptors, error) != 0 ||
        option_number("dpdk", &options[OPTION_QUEUES], 1, DPDK_QUEUES_MAX, 1, &queues, error) != 0 ||
        option_number("dpdk", &options[OPTION_MTU], DPDK_MTU_MIN, DPDK_MTU_MAX, 0, &mtu, error) != 0)
        return PORT_MISNAMED;
    argument->descriptors = (uint16_t)descriptors;
    argument->queues = (uint16_t)queues;
    argument->mtu = (uint16_t)mtu;
    return 0;
}

int dpdk_argument_read(const char *text, struct dpdk_argument *argument, char *error)
{
    struct option options[OPTIONS] = {
        [OPTION_HUGE] = {.key = "huge"},           [OPTION_MEMORY] = {.key = "memory"},
        [OPTION_DESCRIPTORS] = {.key = "descriptors"}, [OPTION_EAL] = {.key = "eal"},
        [OPTION_QUEUES] = {.key = "queues"},       [OPTION_MTU] = {.key = "mtu"},
        [OPTION_PROMISCUOUS] = {.key = "promiscuous"}};
    if (split_argument(text, argument->device, options, error) != 0)
        return PORT_MISNAMED;
    memcpy(argument->extra, options[OPTION_EAL].value, sizeof argument->extra);
    if (choose(options, argument, error) != 0 || choose_numbers(options, argument, error) != 0 ||
        choose_promiscuous(options[OPTION_PROMISCUOUS].value, argument, error) != 0 || tell_queues(argument, error) != 0 ||
        eal_check_words(&argument->choice, error) != 0)
        return PORT_MISNAMED;
    argument->is_memif = is_driver(argument->device, "net_memif");
    argument->waits_for_peer = argument->is_memif && !dpdk_name_listens(argument->device);
    return 0;
}
