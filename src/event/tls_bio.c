// OpenSSL's two ends: it reads what is being fed and writes into a buffer.

#include "event/tls_inside.h"

#include <pthread.h>
#include <string.h>

static int bio_read(BIO *bio, char *to, int n);
static int bio_write(BIO *bio, const char *from, int n);
static long bio_control(BIO *bio, int command, long n, void *p);
static void make_method(void);

static BIO_METHOD *method; // one for the process, kept until it ends

BIO *mg_tls_bio_new(struct mg_tls_stream *t) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    BIO *bio = BIO_new(method);
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    return bio;
}

static int bio_read(BIO *bio, char *to, int n) {
    struct mg_tls_stream *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (t->in_n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t part = t->in_n < (size_t)n ? t->in_n : (size_t)n;
    memcpy(to, t->in, part);
    t->in += part;
    t->in_n -= part;
    return (int)part;
}

static int bio_write(BIO *bio, const char *from, int n) {
    struct mg_tls_stream *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    mg_buf_append(&t->out, from, (size_t)n);
    return n;
}

static long bio_control(BIO *bio, int command, long n, void *p) {
    (void)bio;
    (void)n;
    (void)p;
    return command == BIO_CTRL_FLUSH;
}

static void make_method(void) {
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "moongate stream");
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
}
