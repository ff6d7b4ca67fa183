#include "http/fields.h"

static const mg_str names[MG_FIELD_COUNT] = {[MG_FIELD_OTHER] = {"", 0},
#define NAME(id, name, first, last) [MG_FIELD_##id] = {name, sizeof(name) - 1},
                                             MG_FIELD_NAMES(NAME)
#undef NAME
};

// No two known names have the same place: the compiler would warn of an element that is initialised
// twice.
#define PLACE(n, first, last) ((21u * (n) + (first) + 11u * (last)) & 255u)

static const uint8_t places[256] = {
#define AT(id, name, first, last) [PLACE(sizeof(name) - 1, first, last)] = MG_FIELD_##id,
    MG_FIELD_NAMES(AT)
#undef AT
};

// --- names and values ---

// Whether eight, or four, bytes differ by more than the case of letters. Of the characters in known
// names the letters alone have 0x40 in them; nothing but their other case differs by 0x20 alone.
static uint64_t differ8(const char *p, const char *known) {
    uint64_t k = mg_eight_at(known);
    return (mg_eight_at(p) ^ k) & ~((k & 0x4040404040404040u) >> 1);
}

static uint32_t differ4(const char *p, const char *known) {
    uint32_t k = mg_four_at(known);
    return (mg_four_at(p) ^ k) & ~((k & 0x40404040u) >> 1);
}

// Of equal length. What is left of a whole number of words is looked at with what stands before it.
static bool is_known(mg_str name, const char *known) {
    size_t n = name.n;
    if (n >= 8) {
        for (size_t i = 0; i < n - 8; i += 8) {
            if (differ8(name.p + i, known + i) != 0) {
                return false;
            }
        }
        return differ8(name.p + n - 8, known + n - 8) == 0;
    }
    if (n >= 4) {
        return (differ4(name.p, known) | differ4(name.p + n - 4, known + n - 4)) == 0;
    }
    return mg_str_ieq(name, (mg_str){known, n});
}

mg_field_id mg_field_id_of(mg_str name) {
    if (name.n == 0) {
        return MG_FIELD_OTHER;
    }
    uint8_t first = (uint8_t)mg_lower(name.p[0]);
    uint8_t last = (uint8_t)mg_lower(name.p[name.n - 1]);
    mg_field_id id = places[PLACE(name.n, first, last)];
    if (name.n != names[id].n) { // of most unknown names: no name has that place
        return MG_FIELD_OTHER;
    }
    return is_known(name, names[id].p) ? id : MG_FIELD_OTHER;
}

mg_str mg_field_name(mg_field_id id) {
    return names[id];
}

// For a known name its number is enough.
static bool is_named(const mg_field *f, mg_field_id id, mg_str name) {
    return f->id == id && (id != MG_FIELD_OTHER || mg_str_ieq(f->name, name));
}

// Whether one of eight bytes may be a control character: each test is exact for whether there is
// one at all, and a tab counts as one.
static bool maybe_control(uint64_t v) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t low = (v - ones * 0x20) & ~v;
    uint64_t del = v ^ (ones * 0x7f);
    return ((low | ((del - ones) & ~del)) & (ones * 0x80)) != 0;
}

// What is left of a whole number of words is looked at with what stands before it.
static bool has_maybe_control(mg_str s) {
    if (s.n >= 8) {
        bool found = maybe_control(mg_eight_at(s.p + s.n - 8));
        for (size_t i = 0; i < s.n - 8; i += 8) {
            found |= maybe_control(mg_eight_at(s.p + i));
        }
        return found;
    }
    return s.n < 4 || maybe_control((uint64_t)mg_four_at(s.p) << 32 | mg_four_at(s.p + s.n - 4));
}

bool mg_field_is_value(mg_str value) {
    if (!has_maybe_control(value)) {
        return true;
    }
    for (size_t i = 0; i < value.n; i++) {
        uint8_t c = (uint8_t)value.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

bool mg_field_id_is_hop_by_hop(mg_field_id id) {
    switch (id) {
    case MG_FIELD_CONNECTION:
    case MG_FIELD_HTTP2_SETTINGS:
    case MG_FIELD_KEEP_ALIVE:
    case MG_FIELD_PROXY_CONNECTION:
    case MG_FIELD_TE:
    case MG_FIELD_TRANSFER_ENCODING:
    case MG_FIELD_UPGRADE:
        return true;
    default:
        return false;
    }
}

// --- making ---

void mg_fields_init(mg_fields *l, mg_arena *arena) {
    *l = (mg_fields){.arena = arena, .limit = MG_FIELDS_BYTES};
}

static void grow_to(mg_fields *l, uint32_t cap) {
    mg_field *at = mg_arena_alloc(l->arena, cap * sizeof *at);
    if (l->count > 0) {
        memcpy(at, l->at, l->count * sizeof *at);
    }
    l->at = at;
    l->cap = cap;
}

static uint64_t bytes_of(const mg_field *f) {
    return (uint64_t)f->name.n + f->value.n + MG_FIELD_OVERHEAD;
}

// The list is full, in one way or the other.
int mg_fields_pass_on(mg_fields *l, const mg_field *f) {
    if (bytes_of(f) + l->bytes > l->limit) {
        return MG_ELIMIT;
    }
    grow_to(l, l->cap == 0 ? 8 : l->cap * 2);
    return mg_fields_pass(l, f);
}

void mg_fields_reserve(mg_fields *l, uint32_t n) {
    if (l->cap - l->count < n) {
        grow_to(l, l->count + n);
    }
}

static int put(mg_fields *l, mg_field f) {
    return mg_field_is_value(f.value) ? mg_fields_pass(l, &f) : MG_ESYNTAX;
}

int mg_fields_add(mg_fields *l, mg_str name, mg_str value) {
    mg_field f = mg_field_of(name, value);
    return f.id != MG_FIELD_OTHER || mg_str_is_token(name) ? put(l, f) : MG_ESYNTAX;
}

int mg_fields_add_id(mg_fields *l, mg_field_id id, mg_str value) {
    return put(l, (mg_field){names[id], value, id});
}

// Drops those of that name from `from` on.
static uint32_t remove_from(mg_fields *l, uint32_t from, mg_field_id id, mg_str name) {
    uint32_t kept = from;
    for (uint32_t i = from; i < l->count; i++) {
        if (is_named(&l->at[i], id, name)) {
            l->bytes -= (uint32_t)bytes_of(&l->at[i]);
        } else {
            l->at[kept++] = l->at[i];
        }
    }
    uint32_t gone = l->count - kept;
    l->count = kept;
    return gone;
}

uint32_t mg_fields_remove(mg_fields *l, mg_str name) {
    mg_field_id id = mg_field_id_of(name);
    return (l->ids & mg_field_bit(id)) != 0 ? remove_from(l, 0, id, name) : 0;
}

// Takes the last one, which has just been put, to where the first of its name stands.
static void move_to_first(mg_fields *l) {
    mg_field f = l->at[--l->count];
    uint32_t i = 0;
    while (i < l->count && !is_named(&l->at[i], f.id, f.name)) {
        i++;
    }
    if (i == l->count) {
        l->count++;
        return;
    }
    l->bytes -= (uint32_t)bytes_of(&l->at[i]);
    l->at[i] = f;
    remove_from(l, i + 1, f.id, f.name);
}

int mg_fields_set(mg_fields *l, mg_str name, mg_str value) {
    int rc = mg_fields_add(l, name, value);
    if (rc == MG_OK) {
        move_to_first(l);
    }
    return rc;
}

int mg_fields_copy(mg_fields *l, const mg_fields *from) {
    for (uint32_t i = 0; i < from->count; i++) {
        mg_field f = from->at[i];
        f.value.p = mg_arena_copy(l->arena, f.value);
        f.name.p = f.id != MG_FIELD_OTHER ? names[f.id].p : mg_arena_copy(l->arena, f.name);
        int rc = put(l, f);
        if (rc != MG_OK) {
            return rc;
        }
    }
    return MG_OK;
}

// --- reading ---

const mg_field *mg_fields_find_name(const mg_fields *l, mg_str name) {
    mg_field_id id = mg_field_id_of(name);
    for (uint32_t i = 0; i < l->count; i++) {
        if (is_named(&l->at[i], id, name)) {
            return &l->at[i];
        }
    }
    return NULL;
}

// Pieces of a text that is built in an arena, in two rounds: measured, then written.
typedef struct text {
    char *p; // NULL: it is measured
    size_t n;
} text;

static void append(text *t, mg_str s) {
    if (t->p != NULL && s.n > 0) {
        memcpy(t->p + t->n, s.p, s.n);
    }
    t->n += s.n;
}

static void append_joined(text *t, mg_str separator, mg_str s) {
    append(t, t->n > 0 ? separator : (mg_str){0});
    append(t, s);
}

static void join_values(text *t, const mg_fields *l, mg_field_id id, mg_str name) {
    mg_str separator = id == MG_FIELD_COOKIE ? MG_STR("; ") : MG_STR(", ");
    for (uint32_t i = 0; i < l->count; i++) {
        if (is_named(&l->at[i], id, name)) {
            append_joined(t, separator, l->at[i].value);
        }
    }
}

static bool is_repeated(const mg_fields *l, const mg_field *first, mg_field_id id, mg_str name) {
    for (const mg_field *f = first + 1; f < l->at + l->count; f++) {
        if (is_named(f, id, name)) {
            return true;
        }
    }
    return false;
}

mg_str mg_fields_join(const mg_fields *l, mg_str name) {
    mg_field_id id = mg_field_id_of(name);
    const mg_field *first = mg_fields_find_name(l, name);
    if (first == NULL || id == MG_FIELD_SET_COOKIE || !is_repeated(l, first, id, name)) {
        return first != NULL ? first->value : (mg_str){0};
    }
    text t = {0};
    join_values(&t, l, id, name);
    t = (text){.p = mg_arena_alloc(l->arena, t.n + 1)};
    join_values(&t, l, id, name);
    return (mg_str){t.p, t.n};
}

static bool has_member(mg_str list, mg_str member) {
    mg_str item;
    while (mg_str_next_item(&list, &item)) {
        if (mg_str_ieq(item, member)) {
            return true;
        }
    }
    return false;
}

bool mg_fields_has_member(const mg_fields *l, mg_field_id id, mg_str member) {
    for (const mg_field *f = NULL; (f = mg_fields_next(l, f, id)) != NULL;) {
        if (has_member(f->value, member)) {
            return true;
        }
    }
    return false;
}

static void merge_members(text *t, mg_str have, mg_str members) {
    mg_str rest = members;
    mg_str item;
    append(t, have);
    while (mg_str_next_item(&rest, &item)) {
        mg_str before = {members.p, (size_t)(item.p - members.p)};
        if (!has_member(have, item) && !has_member(before, item)) {
            append_joined(t, MG_STR(", "), item);
        }
    }
}

int mg_fields_merge(mg_fields *l, mg_field_id id, mg_str members) {
    mg_str have = mg_fields_join(l, names[id]);
    mg_str star = MG_STR("*");
    if (id == MG_FIELD_VARY && (has_member(have, star) || has_member(members, star))) {
        return mg_fields_set(l, names[id], star);
    }
    text t = {0};
    merge_members(&t, have, members);
    t = (text){.p = mg_arena_alloc(l->arena, t.n + 1)};
    merge_members(&t, have, members);
    return t.n > 0 ? mg_fields_set(l, names[id], (mg_str){t.p, t.n}) : MG_OK;
}

// What Connection cannot take away: it says who asks, whom, and how long the content is.
static bool is_kept(const mg_field *f) {
    switch (f->id) {
    case MG_FIELD_AUTHORIZATION:
    case MG_FIELD_CONTENT_LENGTH:
    case MG_FIELD_FORWARDED:
    case MG_FIELD_HOST:
        return true;
    default: {
        static const mg_str prefix = {"x-forwarded-", 12};
        return f->name.n > prefix.n && mg_str_istarts(f->name, prefix);
    }
    }
}

bool mg_fields_is_hop_by_hop(const mg_fields *l, const mg_field *f) {
    return mg_field_id_is_hop_by_hop(f->id) ||
           (mg_fields_has_member(l, MG_FIELD_CONNECTION, f->name) && !is_kept(f));
}
