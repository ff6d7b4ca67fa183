// A message's words may be overwritten while they are read: what was copied counts only if the
// oldest message, asked for afterwards, is none behind it. So each word is read and written whole,
// and fences keep the order: the tail moves before words are overwritten, the head after.

#include "live/ring_room.h"

#include "live/ring.h"

enum { WORD = sizeof(uint64_t) };

static const uint64_t FARTHEST = (uint64_t)1 << 62;

static uint64_t load(const mg_ring_room *r, uint64_t at) {
    return atomic_load_explicit(&r->words[at % MG_RING_WORDS], memory_order_relaxed);
}

static void store(mg_ring_room *r, uint64_t at, uint64_t word) {
    atomic_store_explicit(&r->words[at % MG_RING_WORDS], word, memory_order_relaxed);
}

static uint32_t words_for(size_t bytes) {
    return MG_RING_HEADER + (uint32_t)((bytes + WORD - 1) / WORD);
}

// --- heads ---

static uint64_t pack(uint64_t large, uint16_t middle, uint16_t small) {
    return large << 32 | (uint64_t)middle << 16 | small;
}

static void store_head(mg_ring_room *r, uint64_t at, const mg_ring_head *h) {
    store(r, at, pack(h->words, h->topic, (uint16_t)h->kind));
    store(r, at + 1, h->sequence);
    store(r, at + 2, h->hash);
    store(r, at + 3, pack(h->payload, h->event, h->id));
}

static size_t bytes_of(const mg_ring_head *h) {
    return (size_t)h->payload + h->topic + h->event + h->id;
}

// False: no writer has written that.
static bool load_head(const mg_ring_room *r, uint64_t at, uint64_t head, mg_ring_head *h) {
    uint64_t first = load(r, at);
    uint64_t last = load(r, at + 3);
    *h = (mg_ring_head){
        .words = (uint32_t)(first >> 32),
        .topic = (uint16_t)(first >> 16),
        .kind = (first & 0xffff) == MG_PACKET_BINARY ? MG_PACKET_BINARY : MG_PACKET_TEXT,
        .sequence = load(r, at + 1),
        .hash = load(r, at + 2),
        .payload = (uint32_t)(last >> 32),
        .event = (uint16_t)(last >> 16),
        .id = (uint16_t)last,
    };
    return h->payload <= MG_RING_MESSAGE_MAX && h->words == words_for(bytes_of(h)) &&
           h->words <= head - at;
}

// --- writing ---

// The oldest messages go until `words` fit.
static void make_room(mg_ring_room *r, mg_ring_writer *at, uint32_t words) {
    while (at->head + words - at->tail > MG_RING_WORDS) {
        mg_ring_head oldest;
        at->tail = load_head(r, at->tail, at->head, &oldest) ? at->tail + oldest.words : at->head;
    }
    atomic_store_explicit(&r->tail, at->tail, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

typedef struct pen {
    mg_ring_room *room;
    uint64_t at;
    uint64_t word;
    unsigned filled; // bytes of the word
} pen;

static void put(pen *w, mg_str s) {
    while (s.n > 0) {
        size_t n = WORD - w->filled < s.n ? WORD - w->filled : s.n;
        memcpy((char *)&w->word + w->filled, s.p, n);
        mg_str_skip(&s, n);
        w->filled += (unsigned)n;
        if (w->filled == WORD) {
            store(w->room, w->at++, w->word);
            w->filled = 0;
            w->word = 0;
        }
    }
}

void mg_ring_write(mg_ring_room *r, mg_ring_writer *writer, uint64_t hash, mg_str topic,
                   const mg_publication *m) {
    mg_ring_head h = {
        .hash = hash,
        .sequence = writer->sequence,
        .payload = (uint32_t)m->payload.n,
        .topic = (uint16_t)topic.n,
        .event = (uint16_t)m->event.n,
        .id = (uint16_t)m->id.n,
        .kind = m->kind,
    };
    h.words = words_for(bytes_of(&h));
    make_room(r, writer, h.words);
    store_head(r, writer->head, &h);
    pen w = {.room = r, .at = writer->head + MG_RING_HEADER};
    put(&w, topic);
    put(&w, m->event);
    put(&w, m->id);
    put(&w, m->payload);
    if (w.filled > 0) {
        store(r, w.at, w.word);
    }
    writer->sequence++;
    writer->head += h.words;
    atomic_store_explicit(&r->sequence, writer->sequence, memory_order_relaxed);
    atomic_store_explicit(&r->head, writer->head, memory_order_release);
}

void mg_ring_tell(mg_ring_room *r, const mg_ring_writer *writer) {
    atomic_store_explicit(&r->tail, writer->tail, memory_order_relaxed);
    atomic_store_explicit(&r->sequence, writer->sequence, memory_order_relaxed);
    atomic_store_explicit(&r->head, writer->head, memory_order_release);
}

// Positions of which nobody has written so much are no positions.
void mg_ring_settle(mg_ring_room *r, mg_ring_writer *writer) {
    *writer =
        (mg_ring_writer){atomic_load(&r->head), atomic_load(&r->tail), atomic_load(&r->sequence)};
    if (writer->head > FARTHEST || writer->sequence > FARTHEST) {
        *writer = (mg_ring_writer){0};
    }
    if (writer->tail > writer->head || writer->head - writer->tail > MG_RING_WORDS) {
        writer->tail = writer->head;
    }
    mg_ring_tell(r, writer);
}

// --- reading ---

void mg_ring_join(const mg_ring_room *r, mg_ring_reader *reader) {
    // In this order: a message that is written meanwhile is not counted as lost.
    reader->sequence = atomic_load_explicit(&r->sequence, memory_order_acquire);
    reader->at = atomic_load_explicit(&r->head, memory_order_acquire);
}

// Whether what was read up to now was still there.
static bool is_intact(const mg_ring_room *r, const mg_ring_reader *reader) {
    atomic_thread_fence(memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    return reader->at >= tail;
}

// How many messages: 1 if that was scribbled on.
static uint64_t missed(const mg_ring_reader *reader, uint64_t next) {
    uint64_t n = next - reader->sequence;
    return n > 0 && n <= UINT32_MAX ? n : 1;
}

static mg_ring_found join_anew(const mg_ring_room *r, mg_ring_reader *reader, uint64_t *lost) {
    const mg_ring_reader before = *reader;
    mg_ring_join(r, reader);
    *lost += missed(&before, reader->sequence);
    return MG_RING_OVERTAKEN;
}

// On to the oldest message that is left, or behind all of them.
static mg_ring_found overtaken(const mg_ring_room *r, mg_ring_reader *reader, uint64_t *lost) {
    for (int tries = 0; tries < 100; tries++) {
        mg_ring_head h;
        reader->at = atomic_load_explicit(&r->tail, memory_order_acquire);
        uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
        bool good = head > reader->at && load_head(r, reader->at, head, &h);
        if (good && is_intact(r, reader)) {
            *lost += missed(reader, h.sequence);
            reader->sequence = h.sequence;
            return MG_RING_OVERTAKEN;
        }
    }
    return join_anew(r, reader, lost); // it is broken, or is filled faster than it can be read
}

mg_ring_found mg_ring_peek(const mg_ring_room *r, mg_ring_reader *reader, mg_ring_head *h,
                           uint64_t *lost) {
    uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    if (head == reader->at) {
        return MG_RING_NOTHING;
    }
    if (head < reader->at) { // scribbled on: what is left may have been read already
        return join_anew(r, reader, lost);
    }
    if (!is_intact(r, reader) || head - reader->at > MG_RING_WORDS) {
        return overtaken(r, reader, lost);
    }
    bool good = load_head(r, reader->at, head, h);
    return good && is_intact(r, reader) ? MG_RING_MESSAGE : overtaken(r, reader, lost);
}

static mg_str cut(mg_str *from, size_t n) {
    mg_str piece = {from->p, n};
    mg_str_skip(from, n);
    return piece;
}

bool mg_ring_take(const mg_ring_room *r, mg_ring_reader *reader, const mg_ring_head *h, mg_buf *out,
                  mg_str *topic, mg_publication *m) {
    bool whole = true;
    if (out != NULL) {
        uint32_t words = h->words - MG_RING_HEADER;
        mg_buf_clear(out);
        char *p = mg_buf_reserve(out, (size_t)words * WORD);
        for (uint32_t i = 0; i < words; i++) {
            uint64_t word = load(r, reader->at + MG_RING_HEADER + i);
            memcpy(p + (size_t)i * WORD, &word, WORD);
        }
        whole = is_intact(r, reader);
        mg_str rest = {p, bytes_of(h)};
        *topic = cut(&rest, h->topic);
        m->event = cut(&rest, h->event);
        m->id = cut(&rest, h->id);
        m->payload = rest;
        m->kind = h->kind;
    }
    if (whole) {
        reader->at += h->words;
        reader->sequence = h->sequence + 1;
    }
    return whole;
}
