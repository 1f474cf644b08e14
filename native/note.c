/* note.c ②⑧ — see note.h. */
#include "note.h"

#include <string.h>

#include "ring.h"

/* An empty note; NULL where there is no ring. With observers only there is always room. */
static struct note_slot *begin(struct ring_writer *notes, uint16_t kind)
{
    struct note_slot *slot = notes && notes->header ? (struct note_slot *)ring_claim(notes) : NULL;
    if (slot)
        memset((char *)slot + sizeof slot->sequence, 0, sizeof *slot - sizeof slot->sequence);
    if (slot)
        slot->kind = kind;
    return slot;
}

void note_frame(struct ring_writer *notes, uint16_t kind, const struct port_frame *frame, int64_t time_ns)
{
    struct note_slot *slot = begin(notes, kind);
    if (!slot)
        return;
    uint64_t room = notes->slot_bytes - sizeof *slot;
    slot->size = frame->size < room ? frame->size : (uint32_t)room;
    slot->size_wire = frame->size_wire;
    slot->flags = frame->flags;
    slot->time_ns = frame->time_ns ? frame->time_ns : time_ns;
    memcpy(slot + 1, frame->data, slot->size);
    ring_publish(notes, (struct ring_slot *)slot);
}

void note_order_kept(struct ring_writer *notes, uint32_t ring, uint64_t position)
{
    struct note_slot *slot = begin(notes, NOTE_ORDER_KEPT);
    if (!slot)
        return;
    slot->ring = ring;
    slot->position = position;
    ring_publish(notes, (struct ring_slot *)slot);
}
