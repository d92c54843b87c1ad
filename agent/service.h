/* SPDX-License-Identifier: Apache-2.0 */
/* service: org.proa.Node1 on the bus: methods, properties and signals over agent.h, and who may call what. */
#pragma once

#include "agent/agent.h"

#include <systemd/sd-bus.h>

typedef struct ProaService ProaService;

/* Called when the service is on the bus under its name and has asked proa-bootd once. */
typedef void (*ProaServiceReady)(ProaService *service, gpointer data);

/*
 * Makes the agent's object on @bus (attached to @event) and asks for the name. NO_AGENT if the bus refuses.
 * @ready is called once; @paths must outlive the service.
 */
ProaService *proa_service_new(sd_bus *bus, sd_event *event, const ProaPaths *paths, ProaServiceReady ready,
	gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_service_free(ProaService *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaService, proa_service_free)

/* The agent behind it; owned by the service. */
ProaAgent *proa_service_agent(ProaService *service);

/*
 * Stops: what is under way is told to stop, and the event loop ends (with status 0) once it has, or at once
 * if nothing is.
 */
void proa_service_stop(ProaService *service);
