// proxy/admission.h: whether an upstream may be asked now, and what follows from how a try ended:
// circuit, limits, budget and ejection in one. For proxy/upstream.c: a ticket has an mg_admission
// from its choice to its end. Owns nothing.
#pragma once

#include "proxy/changes.h"
#include "proxy/outcome.h"
#include "proxy/outlier.h"

// MG_OK: a try is counted as in flight, to be ended once. MG_EAGAIN: none may begin now, and `why`
// (accepts NULL) says so; MG_ELIMIT: likewise, because too many are in flight. A mirror's try obeys
// circuit and limits; a retry's or hedge's also the budget.
int mg_admit(mg_admission *out, const mg_upstream_options *o, const mg_upstream_hold *h,
             mg_choice_kind kind, uint64_t now_ms, mg_no_server *why);

// It was not used: no server was to be had.
void mg_admission_undo(const mg_admission *a, const mg_upstream_options *o,
                       const mg_upstream_hold *h, uint64_t now_ms);

// How a try that ended so is judged.
mg_result mg_result_of(const mg_outcome *outcome);

// The try on that server of the group has ended. What changes by it is told.
void mg_admission_end(const mg_admission *a, const mg_upstream_options *o, const mg_server_group *g,
                      const mg_server_hold *server, mg_result result, uint64_t now_ms,
                      const mg_changes *to);

// Of a server: health checks and ejection let it be chosen. What is not configured says nothing.
bool mg_server_is_usable(const mg_upstream_options *o, const mg_server_hold *h, uint64_t now_ms);
