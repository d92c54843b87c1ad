/* SPDX-License-Identifier: Apache-2.0 */
/* pack: a frame of a delta out of its streams. */
#pragma once

#include "images/payload/builder.h"

/* The packed frame, the same bytes every time; NULL with TOO_LARGE if it is over the format's caps. */
GByteArray *proa_pack_frame(const ProaBuilder *builder, GError **error) G_GNUC_WARN_UNUSED_RESULT;
