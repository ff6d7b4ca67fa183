#include "base/suggest.h"

enum { WORD_BYTES = 40 }; // longer words are no typing mistakes

void mg_suggest_init(mg_suggest *s, mg_str word) {
    *s = (mg_suggest){.word = word, .distance = word.n / 3 + 2};
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

// Edit distance with transpositions (optimal string alignment), three rows at a time. Ignores case.
static size_t distance(mg_str a, mg_str b) {
    size_t rows[3][WORD_BYTES + 1];
    for (size_t j = 0; j <= b.n; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a.n; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *higher = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            char x = mg_lower(a.p[i - 1]);
            char y = mg_lower(b.p[j - 1]);
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == mg_lower(b.p[j - 2]) && mg_lower(a.p[i - 2]) == y) {
                row[j] = least(row[j], higher[j - 2] + 1);
            }
        }
    }
    return rows[a.n % 3][b.n];
}

void mg_suggest_offer(mg_suggest *s, mg_str candidate) {
    if (s->word.n > WORD_BYTES || candidate.n > WORD_BYTES) {
        return;
    }
    size_t d = distance(s->word, candidate);
    // A word of which every letter would change is no better than none.
    if (d < s->distance && d < candidate.n && d < s->word.n) {
        s->distance = d;
        s->best = candidate;
    }
}

void mg_suggest_append(const mg_suggest *s, mg_buf *out) {
    if (s->best.n > 0) {
        mg_buf_printf(out, " (did you mean \"%.*s\"?)", (int)s->best.n, s->best.p);
    }
}
