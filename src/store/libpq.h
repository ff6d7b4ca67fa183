// store/libpq.h: libpq, loaded when a PostgreSQL database is first named: it brings some thirty
// libraries along (LDAP, Kerberos ...), which cost each process 4 MB. Instead of <libpq-fe.h>.
#pragma once

#include "base/error.h"

#include <libpq-fe.h>

// Loads it into this process, for good. MG_ECONFIG and a text if it is not there. Any thread's
// first call must have returned before the functions below are used.
int mg_libpq_load(mg_error *err);

#define MG_LIBPQ_FUNCTIONS(X)                                                                      \
    X(PQcancel)                                                                                    \
    X(PQclear)                                                                                     \
    X(PQcmdStatus)                                                                                 \
    X(PQcmdTuples)                                                                                 \
    X(PQconnectPoll)                                                                               \
    X(PQconnectStartParams)                                                                        \
    X(PQconnectdbParams)                                                                           \
    X(PQconninfoFree)                                                                              \
    X(PQconninfoParse)                                                                             \
    X(PQconsumeInput)                                                                              \
    X(PQenterPipelineMode)                                                                         \
    X(PQerrorMessage)                                                                              \
    X(PQexec)                                                                                      \
    X(PQexecParams)                                                                                \
    X(PQfinish)                                                                                    \
    X(PQflush)                                                                                     \
    X(PQfname)                                                                                     \
    X(PQfreeCancel)                                                                                \
    X(PQfreemem)                                                                                   \
    X(PQftype)                                                                                     \
    X(PQexitPipelineMode)                                                                          \
    X(PQgetCancel)                                                                                 \
    X(PQgetCopyData)                                                                               \
    X(PQgetResult)                                                                                 \
    X(PQgetisnull)                                                                                 \
    X(PQgetlength)                                                                                 \
    X(PQgetvalue)                                                                                  \
    X(PQhost)                                                                                      \
    X(PQisBusy)                                                                                    \
    X(PQnfields)                                                                                   \
    X(PQnotifies)                                                                                  \
    X(PQntuples)                                                                                   \
    X(PQpipelineSync)                                                                              \
    X(PQputCopyData)                                                                               \
    X(PQputCopyEnd)                                                                                \
    X(PQresultErrorField)                                                                          \
    X(PQresultErrorMessage)                                                                        \
    X(PQresultStatus)                                                                              \
    X(PQsendPrepare)                                                                               \
    X(PQsendQueryParams)                                                                           \
    X(PQsendQueryPrepared)                                                                         \
    X(PQsetNoticeReceiver)                                                                         \
    X(PQsetSingleRowMode)                                                                          \
    X(PQsetnonblocking)                                                                            \
    X(PQsocket)                                                                                    \
    X(PQstatus)                                                                                    \
    X(PQtransactionStatus)

#define MG_LIBPQ_POINTER(name) __typeof__(name) *name##_;
typedef struct mg_libpq_table {
    MG_LIBPQ_FUNCTIONS(MG_LIBPQ_POINTER)
} mg_libpq_table;
#undef MG_LIBPQ_POINTER

extern mg_libpq_table mg_libpq;

#ifndef MG_LIBPQ_ITSELF
#define PQcancel             mg_libpq.PQcancel_
#define PQclear              mg_libpq.PQclear_
#define PQcmdStatus          mg_libpq.PQcmdStatus_
#define PQcmdTuples          mg_libpq.PQcmdTuples_
#define PQconnectPoll        mg_libpq.PQconnectPoll_
#define PQconnectStartParams mg_libpq.PQconnectStartParams_
#define PQconnectdbParams    mg_libpq.PQconnectdbParams_
#define PQconninfoFree       mg_libpq.PQconninfoFree_
#define PQconninfoParse      mg_libpq.PQconninfoParse_
#define PQconsumeInput       mg_libpq.PQconsumeInput_
#define PQenterPipelineMode  mg_libpq.PQenterPipelineMode_
#define PQerrorMessage       mg_libpq.PQerrorMessage_
#define PQexec               mg_libpq.PQexec_
#define PQexecParams         mg_libpq.PQexecParams_
#define PQfinish             mg_libpq.PQfinish_
#define PQflush              mg_libpq.PQflush_
#define PQfname              mg_libpq.PQfname_
#define PQfreeCancel         mg_libpq.PQfreeCancel_
#define PQfreemem            mg_libpq.PQfreemem_
#define PQftype              mg_libpq.PQftype_
#define PQexitPipelineMode   mg_libpq.PQexitPipelineMode_
#define PQgetCancel          mg_libpq.PQgetCancel_
#define PQgetCopyData        mg_libpq.PQgetCopyData_
#define PQgetResult          mg_libpq.PQgetResult_
#define PQgetisnull          mg_libpq.PQgetisnull_
#define PQgetlength          mg_libpq.PQgetlength_
#define PQgetvalue           mg_libpq.PQgetvalue_
#define PQhost               mg_libpq.PQhost_
#define PQisBusy             mg_libpq.PQisBusy_
#define PQnfields            mg_libpq.PQnfields_
#define PQnotifies           mg_libpq.PQnotifies_
#define PQntuples            mg_libpq.PQntuples_
#define PQpipelineSync       mg_libpq.PQpipelineSync_
#define PQputCopyData        mg_libpq.PQputCopyData_
#define PQputCopyEnd         mg_libpq.PQputCopyEnd_
#define PQresultErrorField   mg_libpq.PQresultErrorField_
#define PQresultErrorMessage mg_libpq.PQresultErrorMessage_
#define PQresultStatus       mg_libpq.PQresultStatus_
#define PQsendPrepare        mg_libpq.PQsendPrepare_
#define PQsendQueryParams    mg_libpq.PQsendQueryParams_
#define PQsendQueryPrepared  mg_libpq.PQsendQueryPrepared_
#define PQsetNoticeReceiver  mg_libpq.PQsetNoticeReceiver_
#define PQsetSingleRowMode   mg_libpq.PQsetSingleRowMode_
#define PQsetnonblocking     mg_libpq.PQsetnonblocking_
#define PQsocket             mg_libpq.PQsocket_
#define PQstatus             mg_libpq.PQstatus_
#define PQtransactionStatus  mg_libpq.PQtransactionStatus_
#endif
