#include "http/mime.h"

#include "unit.h"

static void is_type(const char *name, const char *type) {
    assert_text(type, mg_mime_of(mg_str_of(name)));
}

static void knows_types_by_the_last_extension(void **state) {
    (void)state;
    is_type("index.html", "text/html; charset=utf-8");
    is_type("a/b.c/app.js", "text/javascript; charset=utf-8");
    is_type("data.json", "application/json");
    is_type("archive.tar.gz", "application/gzip");
    is_type("x.7z", "application/x-7z-compressed");
    is_type("x.zst", "application/zstd");
    is_type("font.woff2", "font/woff2");
    is_type("site.webmanifest", "application/manifest+json");
    is_type(".html", "text/html; charset=utf-8");
}

static void ignores_case(void **state) {
    (void)state;
    is_type("PHOTO.JPEG", "image/jpeg");
    is_type("a.Svg", "image/svg+xml");
}

// The search wants a sorted table: one entry out of order would hide others.
static void finds_every_extension(void **state) {
    (void)state;
    static const char all[] =
        "7z aac apng atom avi avif azw bmp br bz2 cjs css csv doc docx eot epub flac gif gz "
        "heic htm html ico ics jar jpeg jpg js json jsonld jxl log lua m3u8 m4a m4v map md "
        "mid mjs mkv mov mp3 mp4 mpd mpeg ndjson odp ods odt oga ogg ogv opus otf pdf pem "
        "png ppt pptx ps rar rss rtf sql svg tar text tgz tif tiff toml ts ttf txt vtt wasm "
        "wav weba webm webmanifest webp woff woff2 xhtml xls xlsx xml xz yaml yml zip zst ";
    char name[32];
    for (const char *at = all; *at != '\0'; at += strcspn(at, " ") + 1) {
        snprintf(name, sizeof name, "a.%.*s", (int)strcspn(at, " "), at);
        if (mg_str_eq(mg_mime_of(mg_str_of(name)), MG_STR("application/octet-stream"))) {
            fail_msg("unknown: %s", name);
        }
    }
}

static void tells_the_encoding_of_text(void **state) {
    (void)state;
    is_type("a.txt", "text/plain; charset=utf-8");
    is_type("a.css", "text/css; charset=utf-8");
    is_type("a.csv", "text/csv; charset=utf-8");
    is_type("a.png", "image/png");
}

static void calls_the_rest_bytes(void **state) {
    (void)state;
    static const char *const names[] = {"",        ".",           "README",
                                        "a.",      "a.unknown",   "html",
                                        "a.htmlx", "a.html/file", "a.averyveryverylongextension"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        is_type(names[i], "application/octet-stream");
    }
    assert_text("application/octet-stream", mg_mime_of(MG_STR("a.html\0.x\0")));
    assert_text("application/octet-stream", mg_mime_of(MG_STR("a.html\0")));
    assert_text("application/octet-stream", mg_mime_of((mg_str){NULL, 0}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_types_by_the_last_extension),
        cmocka_unit_test(ignores_case),
        cmocka_unit_test(finds_every_extension),
        cmocka_unit_test(tells_the_encoding_of_text),
        cmocka_unit_test(calls_the_rest_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
