// client/call_inside.h: a call under way, for the files of this room.
#pragma once

#include "client/client_inside.h"
#include "http/body.h"
#include "http/h1_response.h"
#include "http/inflate.h"

struct mg_call {
    mg_client *client;
    mg_origin *origin;     // while it waits or is served
    mg_outbound *outbound; // while it is served
    mg_link all;
    mg_link link; // in its origin's waiting list
    const mg_call_events *events;
    void *arg;
    mg_call_state state;
    mg_call_options options; // texts are not kept
    mg_buf request;          // as sent, while it may be sent again, or waits for a connection
    uint64_t upload_left;    // of an upload with a length
    bool to_head;            // the method is HEAD
    bool upload_open;        // more is to come
    bool room_wanted;        // somebody waits for mg_call_has_room
    bool reused;             // its connection had served others
    bool received;           // bytes of a response
    bool again;              // it was sent a second time
    bool paused;             // the reader is behind: the connection does not read
    bool ended;              // so does the connection, behind what is held
    uint8_t interims;
    int lost; // the code of a connection that broke unseen by its reader; 0: none
    mg_arena arena;
    mg_h1_response_reader reader;
    mg_response response;
    mg_body body;
    mg_inflate *inflate;
    mg_buf content;
    mg_buf held; // bytes that wait until content is taken
    uint64_t total_bytes;
    size_t decoded_bytes;        // since it last rested
    mg_timer total, quiet, soon; // quiet: for a connection, a head, the next piece
    mg_call_fault fault;
    char fault_text[320];
};

void mg_calls_forget(mg_client *c);        // frees the spare ones
void mg_call_start_connect(mg_call *call); // unless it runs already
void mg_call_attach(mg_call *call, mg_outbound *c);
void mg_call_feed(mg_call *call, const char *data, size_t n);
void mg_call_lost(mg_call *call, int status); // the connection ended: 0 for a FIN
void mg_call_drained(mg_call *call);

// "origin: what". Detaches the call from its connection, which is closed. Without an event: that
// comes at the end of the reading.
void mg_call_break(mg_call *call, const char *code, const char *what);

// The same, and tells it.
void mg_call_fail(mg_call *call, const char *code, const char *what);

// --- call_content.c: of a response whose head is there; each may break the call ---

void mg_call_begin_content(mg_call *call);
void mg_call_take_piece(mg_call *call, mg_str piece); // of the body as it came
