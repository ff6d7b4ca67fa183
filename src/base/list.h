// base/list.h: an intrusive doubly linked list. Links are embedded in long-lived structs; the list
// owns nothing.
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct mg_link {
    struct mg_link *prev;
    struct mg_link *next;
} mg_link;

// The struct of type `type` in whose field `field` the link `l` lies.
#define MG_OF(l, type, field) ((type *)(void *)((char *)(l)-offsetof(type, field)))

// Makes an empty list head, or a link that is in no list.
static inline void mg_link_init(mg_link *l) {
    l->prev = l;
    l->next = l;
}

// For a head: the list is empty. For an element: it is in no list.
static inline bool mg_link_alone(const mg_link *l) {
    return l->next == l;
}

static inline void mg_link_remove(mg_link *l) {
    l->prev->next = l->next;
    l->next->prev = l->prev;
    mg_link_init(l);
}

static inline void mg_link_append(mg_link *head, mg_link *l) {
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

// Takes the first element out, or NULL.
static inline mg_link *mg_link_shift(mg_link *head) {
    if (mg_link_alone(head)) {
        return NULL;
    }
    mg_link *l = head->next;
    mg_link_remove(l);
    return l;
}
