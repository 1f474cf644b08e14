/*
 * note.h ②⑧ — io's notes for whoever records, into the ring io_recorder (layout/note.h).
 *
 * Its hard rule: called where a kernel call was made or an order stayed behind, never for a frame that core gets.
 */
#ifndef GATEWAY_NOTE_H
#define GATEWAY_NOTE_H

#include "port.h"

/* Both do nothing where the instance has no such ring: `notes` is NULL or was never attached. */
void note_frame(struct ring_writer *notes, uint16_t kind, const struct port_frame *frame, int64_t time_ns);
void note_order_kept(struct ring_writer *notes, uint32_t ring, uint64_t position);

#endif
