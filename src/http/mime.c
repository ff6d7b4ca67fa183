#include "http/mime.h"

#include <stdlib.h>

typedef struct entry {
    mg_str extension;
    mg_str type;
} entry;

// A literal as a constant initializer.
#define MG_S(literal)                                                                              \
    { literal, sizeof(literal) - 1 }

// Sorted by extension, as strcmp orders.
static const entry entries[] = {
    {MG_S("7z"), MG_S("application/x-7z-compressed")},
    {MG_S("aac"), MG_S("audio/aac")},
    {MG_S("apng"), MG_S("image/apng")},
    {MG_S("atom"), MG_S("application/atom+xml")},
    {MG_S("avi"), MG_S("video/x-msvideo")},
    {MG_S("avif"), MG_S("image/avif")},
    {MG_S("azw"), MG_S("application/vnd.amazon.ebook")},
    {MG_S("bin"), MG_S("application/octet-stream")},
    {MG_S("bmp"), MG_S("image/bmp")},
    {MG_S("br"), MG_S("application/x-brotli")},
    {MG_S("bz2"), MG_S("application/x-bzip2")},
    {MG_S("cjs"), MG_S("text/javascript; charset=utf-8")},
    {MG_S("css"), MG_S("text/css; charset=utf-8")},
    {MG_S("csv"), MG_S("text/csv; charset=utf-8")},
    {MG_S("doc"), MG_S("application/msword")},
    {MG_S("docx"), MG_S("application/vnd.openxmlformats-officedocument.wordprocessingml.document")},
    {MG_S("eot"), MG_S("application/vnd.ms-fontobject")},
    {MG_S("epub"), MG_S("application/epub+zip")},
    {MG_S("flac"), MG_S("audio/flac")},
    {MG_S("gif"), MG_S("image/gif")},
    {MG_S("gz"), MG_S("application/gzip")},
    {MG_S("heic"), MG_S("image/heic")},
    {MG_S("htm"), MG_S("text/html; charset=utf-8")},
    {MG_S("html"), MG_S("text/html; charset=utf-8")},
    {MG_S("ico"), MG_S("image/vnd.microsoft.icon")},
    {MG_S("ics"), MG_S("text/calendar; charset=utf-8")},
    {MG_S("jar"), MG_S("application/java-archive")},
    {MG_S("jpeg"), MG_S("image/jpeg")},
    {MG_S("jpg"), MG_S("image/jpeg")},
    {MG_S("js"), MG_S("text/javascript; charset=utf-8")},
    {MG_S("json"), MG_S("application/json")},
    {MG_S("jsonld"), MG_S("application/ld+json")},
    {MG_S("jxl"), MG_S("image/jxl")},
    {MG_S("log"), MG_S("text/plain; charset=utf-8")},
    {MG_S("lua"), MG_S("text/plain; charset=utf-8")},
    {MG_S("m3u8"), MG_S("application/vnd.apple.mpegurl")},
    {MG_S("m4a"), MG_S("audio/mp4")},
    {MG_S("m4v"), MG_S("video/mp4")},
    {MG_S("map"), MG_S("application/json")},
    {MG_S("md"), MG_S("text/markdown; charset=utf-8")},
    {MG_S("mid"), MG_S("audio/midi")},
    {MG_S("mjs"), MG_S("text/javascript; charset=utf-8")},
    {MG_S("mkv"), MG_S("video/x-matroska")},
    {MG_S("mov"), MG_S("video/quicktime")},
    {MG_S("mp3"), MG_S("audio/mpeg")},
    {MG_S("mp4"), MG_S("video/mp4")},
    {MG_S("mpd"), MG_S("application/dash+xml")},
    {MG_S("mpeg"), MG_S("video/mpeg")},
    {MG_S("ndjson"), MG_S("application/x-ndjson")},
    {MG_S("odp"), MG_S("application/vnd.oasis.opendocument.presentation")},
    {MG_S("ods"), MG_S("application/vnd.oasis.opendocument.spreadsheet")},
    {MG_S("odt"), MG_S("application/vnd.oasis.opendocument.text")},
    {MG_S("oga"), MG_S("audio/ogg")},
    {MG_S("ogg"), MG_S("audio/ogg")},
    {MG_S("ogv"), MG_S("video/ogg")},
    {MG_S("opus"), MG_S("audio/ogg")},
    {MG_S("otf"), MG_S("font/otf")},
    {MG_S("pdf"), MG_S("application/pdf")},
    {MG_S("pem"), MG_S("application/x-pem-file")},
    {MG_S("png"), MG_S("image/png")},
    {MG_S("ppt"), MG_S("application/vnd.ms-powerpoint")},
    {MG_S("pptx"),
     MG_S("application/vnd.openxmlformats-officedocument.presentationml.presentation")},
    {MG_S("ps"), MG_S("application/postscript")},
    {MG_S("rar"), MG_S("application/vnd.rar")},
    {MG_S("rss"), MG_S("application/rss+xml")},
    {MG_S("rtf"), MG_S("application/rtf")},
    {MG_S("sql"), MG_S("application/sql")},
    {MG_S("svg"), MG_S("image/svg+xml")},
    {MG_S("tar"), MG_S("application/x-tar")},
    {MG_S("text"), MG_S("text/plain; charset=utf-8")},
    {MG_S("tgz"), MG_S("application/gzip")},
    {MG_S("tif"), MG_S("image/tiff")},
    {MG_S("tiff"), MG_S("image/tiff")},
    {MG_S("toml"), MG_S("application/toml")},
    {MG_S("ts"), MG_S("video/mp2t")},
    {MG_S("ttf"), MG_S("font/ttf")},
    {MG_S("txt"), MG_S("text/plain; charset=utf-8")},
    {MG_S("vtt"), MG_S("text/vtt; charset=utf-8")},
    {MG_S("wasm"), MG_S("application/wasm")},
    {MG_S("wav"), MG_S("audio/wav")},
    {MG_S("weba"), MG_S("audio/webm")},
    {MG_S("webm"), MG_S("video/webm")},
    {MG_S("webmanifest"), MG_S("application/manifest+json")},
    {MG_S("webp"), MG_S("image/webp")},
    {MG_S("woff"), MG_S("font/woff")},
    {MG_S("woff2"), MG_S("font/woff2")},
    {MG_S("xhtml"), MG_S("application/xhtml+xml")},
    {MG_S("xls"), MG_S("application/vnd.ms-excel")},
    {MG_S("xlsx"), MG_S("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")},
    {MG_S("xml"), MG_S("application/xml")},
    {MG_S("xz"), MG_S("application/x-xz")},
    {MG_S("yaml"), MG_S("application/yaml")},
    {MG_S("yml"), MG_S("application/yaml")},
    {MG_S("zip"), MG_S("application/zip")},
    {MG_S("zst"), MG_S("application/zstd")},
};

#undef MG_S

enum { EXTENSION_BYTES = 12 };

static int compare(const void *key, const void *item) {
    return strcmp(key, ((const entry *)item)->extension.p);
}

mg_str mg_mime_of(mg_str name) {
    const char *dot = name.n > 0 ? memrchr(name.p, '.', name.n) : NULL;
    size_t n = dot != NULL ? (size_t)(name.p + name.n - dot - 1) : 0;
    char lower[EXTENSION_BYTES + 1] = "";
    for (size_t i = 0; i < n && n <= EXTENSION_BYTES; i++) {
        lower[i] = mg_lower(dot[1 + i]);
    }
    const entry *found =
        bsearch(lower, entries, sizeof entries / sizeof *entries, sizeof *entries, compare);
    // A NUL inside would end the text that was looked for.
    return found != NULL && found->extension.n == n ? found->type
                                                    : MG_STR("application/octet-stream");
}
