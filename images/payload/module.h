/* SPDX-License-Identifier: Apache-2.0 */
/* module: a kernel module made from its older self, its tables predicted (updater/payload/delta-module.h). */
#pragma once

#include "images/payload/builder.h"
#include "images/payload/erofs.h"

typedef struct {
	const ProaErofsFile *old_file, *new_file;
	gint64 head_offset, head_count, head_names; /* of the section headers: new minus old */
	guint64 before_head; /* bytes from where the tables end to the section headers */
	ProaBuilder *body;
	gboolean later;    /* its last bytes come after its blocks: @body makes them as well */
	GArray *tail;      /* pieces that make its last bytes by themselves, within the images */
	guint frame, part; /* for who appends it: number of the frame that it went to, and its place there */
} ProaModule;

void proa_module_free(ProaModule *module);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaModule, proa_module_free)

/* Makes the blocks of @new_file out of @old_file. NULL if they are not modules, or it does not pay. */
ProaModule *proa_module_make(const guint8 *old_image, const ProaErofsFile *old_file, const guint8 *new_image,
	const ProaErofsFile *new_file);

/* Appends it to a frame. @old_tail_at, @new_tail_at: where the last bytes of the module before ended. */
void proa_module_append(
	const ProaModule *module, ProaBuilder *frame, guint64 *old_tail_at, guint64 *new_tail_at);
