/*
 * note.h — the record of io_recorder: what io saw and sent that is in no other ring, for whoever records.
 *
 * Written by io ②⑧, and never on the way of market data or of an order that leaves. Observers only: io never waits for
 * them, and writes whether or not one is there, so no word tells of a recorder and none can go stale.
 */
enum note_kind {
    NOTE_FRAME_IN = 1,  /* handed to the kernel: exception path */
    NOTE_FRAME_OUT = 2, /* the kernel's, which the port took */
    NOTE_ORDER_KEPT = 3 /* no frame: what stood at `position` of order ring `ring` did not leave */
};

struct note_slot {
    uint64_t sequence;
    uint32_t size;  /* bytes of frame behind the header */
    uint16_t kind;  /* enum note_kind */
    uint16_t flags; /* enum frame_flag */
    int64_t time_ns;
    uint64_t position;
    uint32_t size_wire; /* larger than `size`: the slot cut the frame */
    uint32_t ring;      /* 0: core_io, 1: control_io */
    uint64_t reserved[3];
};
