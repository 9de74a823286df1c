/* Weights as a safetensors stream: written with a header that was made when the model was compiled, read with any
 * order of tensors. Included by the one C file of a compiled object. */
#pragma once

#include "runtime/embed/run.h"

/* A tensor as a file has it. `begin` is filled in by the header that is read. */
typedef struct gradc_entry {
  const gradc_tensor *tensor;
  char *data;
  uint64_t begin;
  int seen;
} gradc_entry;

/* The bytes of a header, one by one. After an error every byte is 0. */
typedef struct gradc_reader {
  const gradc_stream *stream;
  uint64_t left;
  size_t at, filled;
  int failed, pushed; /* pushed: the last byte is read again */
  unsigned char last, buffer[256];
} gradc_reader;

/* Moves all n bytes. */
static int gradc_move(const gradc_stream *stream, void *bytes, uint64_t n) {
  char *at = (char *)bytes;
  while (n > 0) {
    const size_t part = n > 1 << 20 ? 1 << 20 : (size_t)n;
    const int64_t moved = stream->io(stream->self, at, part);
    if (moved <= 0 || (uint64_t)moved > part)
      return 0;
    at += moved;
    n -= (uint64_t)moved;
  }
  return 1;
}

static unsigned char gradc_next_byte(gradc_reader *r) {
  if (r->pushed) {
    r->pushed = 0;
    return r->last;
  }
  if (r->at == r->filled) {
    const size_t part = r->left < sizeof r->buffer ? (size_t)r->left : sizeof r->buffer;
    if (r->failed || part == 0 || !gradc_move(r->stream, r->buffer, part)) {
      r->failed = 1;
      return r->last = 0;
    }
    r->left -= part;
    r->at = 0;
    r->filled = part;
  }
  return r->last = r->buffer[r->at++];
}

static unsigned char gradc_next(gradc_reader *r) { /* that is no space */
  unsigned char c = gradc_next_byte(r);
  while (c == ' ' || c == '\n' || c == '\t' || c == '\r')
    c = gradc_next_byte(r);
  return c;
}

static int gradc_expect(gradc_reader *r, unsigned char wanted) {
  if (gradc_next(r) != wanted)
    r->failed = 1;
  return !r->failed;
}

/* The comma before another member, or the end. */
static int gradc_more(gradc_reader *r, int first, unsigned char end) {
  const unsigned char c = gradc_next(r);
  if (c == end)
    return 0;
  if (first) {
    r->pushed = 1;
    return !r->failed;
  }
  if (c != ',')
    r->failed = 1;
  return !r->failed;
}

/* The text of a string; what does not fit, and \u, becomes a name that no tensor has. */
static void gradc_string(gradc_reader *r, char *text, size_t capacity) {
  size_t size = 0;
  unsigned char c;
  if (!gradc_expect(r, '"'))
    return;
  while (!r->failed && (c = gradc_next_byte(r)) != '"') {
    if (c == '\\' && (c = gradc_next_byte(r)) == 'u')
      c = 1;
    if (c == 0)
      r->failed = 1;
    if (size + 1 < capacity)
      text[size++] = (char)c;
    else
      text[0] = 1;
  }
  text[size] = 0;
}

static uint64_t gradc_number(gradc_reader *r) {
  uint64_t value = 0;
  unsigned char c = gradc_next(r);
  if (c < '0' || c > '9')
    r->failed = 1;
  for (; c >= '0' && c <= '9'; c = gradc_next_byte(r)) {
    if (value > (UINT64_MAX - 9) / 10)
      r->failed = 1;
    value = value * 10 + (uint64_t)(c - '0');
  }
  r->pushed = 1;
  return value;
}

static int gradc_same(const char *a, const char *b) {
  while (*a && *a == *b) {
    ++a;
    ++b;
  }
  return *a == *b;
}

static void gradc_read_metadata(gradc_reader *r) {
  char text[2];
  gradc_expect(r, '{');
  for (int first = 1; !r->failed && gradc_more(r, first, '}'); first = 0) {
    gradc_string(r, text, sizeof text);
    gradc_expect(r, ':');
    gradc_string(r, text, sizeof text);
  }
}

/* {"dtype": "F32", "shape": […], "data_offsets": [a, b]} of a tensor that must have this shape. */
static void gradc_read_entry(gradc_reader *r, gradc_entry *entry) {
  char text[16];
  int parts = 0;
  gradc_expect(r, '{');
  for (int first = 1; !r->failed && gradc_more(r, first, '}'); first = 0) {
    gradc_string(r, text, sizeof text);
    gradc_expect(r, ':');
    if (gradc_same(text, "dtype")) {
      gradc_string(r, text, sizeof text);
      parts += gradc_same(text, "F32") ? 1 : 100;
    } else if (gradc_same(text, "shape")) {
      int32_t rank = 0;
      gradc_expect(r, '[');
      for (int start = 1; !r->failed && gradc_more(r, start, ']'); start = 0, ++rank)
        if (rank >= entry->tensor->rank || gradc_number(r) != (uint64_t)entry->tensor->shape[rank])
          r->failed = 1;
      parts += rank == entry->tensor->rank ? 10 : 100;
    } else if (gradc_same(text, "data_offsets")) {
      gradc_expect(r, '[');
      entry->begin = gradc_number(r);
      gradc_expect(r, ',');
      if (gradc_number(r) - entry->begin != entry->tensor->bytes)
        r->failed = 1;
      gradc_expect(r, ']');
      parts += 20;
    } else {
      r->failed = 1;
    }
  }
  if (parts != 31 || entry->seen)
    r->failed = 1;
  entry->seen = 1;
}

/* The header; every entry is in it once, and nothing else. */
static int gradc_read_header(gradc_reader *r, gradc_entry *entries, size_t count) {
  char name[256];
  size_t found = 0;
  gradc_expect(r, '{');
  for (int first = 1; !r->failed && gradc_more(r, first, '}'); first = 0) {
    size_t i = 0;
    gradc_string(r, name, sizeof name);
    gradc_expect(r, ':');
    while (i < count && !gradc_same(name, entries[i].tensor->name))
      ++i;
    if (i < count)
      gradc_read_entry(r, &entries[i]), ++found;
    else if (gradc_same(name, "__metadata__"))
      gradc_read_metadata(r);
    else
      r->failed = 1;
  }
  while (!r->failed && (r->left > 0 || r->at < r->filled))
    if (gradc_next_byte(r) != ' ')
      r->failed = 1;
  return !r->failed && found == count;
}

static gradc_entry *gradc_entry_at(gradc_entry *entries, size_t count, uint64_t begin) {
  for (size_t i = 0; i < count; ++i)
    if (entries[i].begin == begin)
      return &entries[i];
  return 0;
}

/* Nothing is written before the whole header is found right. */
static gradc_status gradc_load_tensors(const gradc_stream *stream, gradc_entry *entries, size_t count) {
  unsigned char length[8];
  gradc_reader reader;
  uint64_t begin = 0;
  gradc_zero(&reader, sizeof reader);
  reader.stream = stream;
  if (!gradc_move(stream, length, sizeof length))
    return GRADC_E_FORMAT;
  for (int i = 8; i-- > 0;)
    reader.left = reader.left << 8 | length[i];
  if (reader.left > 100u << 20 || !gradc_read_header(&reader, entries, count))
    return GRADC_E_FORMAT;
  for (size_t i = 0; i < count; ++i) { /* no hole, no overlap */
    const gradc_entry *entry = gradc_entry_at(entries, count, begin);
    if (!entry)
      return GRADC_E_FORMAT;
    begin += entry->tensor->bytes;
  }
  begin = 0;
  for (size_t i = 0; i < count; ++i) {
    const gradc_entry *entry = gradc_entry_at(entries, count, begin);
    if (!gradc_move(stream, entry->data, entry->tensor->bytes))
      return GRADC_E_FORMAT;
    begin += entry->tensor->bytes;
  }
  return GRADC_OK;
}

/* `entries` in the order of the header, which is of the format's first bytes. */
static gradc_status gradc_save_tensors(const gradc_stream *stream, const char *header, uint64_t header_bytes,
                                       const gradc_entry *entries, size_t count) {
  int good;
  unsigned char length[8];
  for (int i = 0; i < 8; ++i)
    length[i] = (unsigned char)(header_bytes >> 8 * i);
  good = gradc_move(stream, length, sizeof length) &&
         gradc_move(stream, (char *)(uintptr_t)header, header_bytes);
  for (size_t i = 0; good && i < count; ++i)
    good = gradc_move(stream, entries[i].data, entries[i].tensor->bytes);
  return good ? GRADC_OK : GRADC_E_FORMAT;
}
