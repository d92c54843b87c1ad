/* SPDX-License-Identifier: Apache-2.0 */
/* wire: little-endian numbers of the payload formats. */
#pragma once

#include <glib.h>
#include <string.h>

static inline guint16 proa_get_u16(const guint8 *p)
{
	guint16 value;

	memcpy(&value, p, sizeof value);
	return GUINT16_FROM_LE(value);
}

static inline guint32 proa_get_u32(const guint8 *p)
{
	guint32 value;

	memcpy(&value, p, sizeof value);
	return GUINT32_FROM_LE(value);
}

static inline guint64 proa_get_u64(const guint8 *p)
{
	guint64 value;

	memcpy(&value, p, sizeof value);
	return GUINT64_FROM_LE(value);
}

static inline void proa_put_u16(guint8 *p, guint16 value)
{
	value = GUINT16_TO_LE(value);
	memcpy(p, &value, sizeof value);
}

static inline void proa_put_u32(guint8 *p, guint32 value)
{
	value = GUINT32_TO_LE(value);
	memcpy(p, &value, sizeof value);
}

static inline void proa_put_u64(guint8 *p, guint64 value)
{
	value = GUINT64_TO_LE(value);
	memcpy(p, &value, sizeof value);
}
