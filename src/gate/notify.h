// gate/notify.h: tells a service manager how the service is (sd_notify's protocol).
#pragma once

// Sends "READY=1", "RELOADING=1\n...", "STOPPING=1" to $NOTIFY_SOCKET; nothing without one.
void mg_notify(const char *state);
