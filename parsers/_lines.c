/* The lines of a block of text, sorted by their skeletons, and the fields of plain lines as columns.

   What `skeletons.py` and `layout.py` do with lists of bytes objects, without an object for a line; the results are the same
   (tests/parsers/test_native.py), and without this module everything works, slower. Only the stable ABI of Python 3.10 is
   used, so one build serves every later version.

   A *skeleton* is a line without its digits and without the blocks of a progress bar. Lines with one skeleton are of one
   *kind*. Python says of each new kind which *group* its lines belong to (none: nobody reads them) and, for plain lines, its
   *form*: how many bytes of the skeleton stand between runs of digits, and which stretches of the line are fields.

   The text is hostile. Nothing is read outside the block: every place comes from a scan that ends at the line's end, and a
   line is read by a form only if it is used up by it to the byte. The hash has keys that the writer of a log cannot know. All
   sizes are of one block (below 2 GB) times a bounded number, and `grown` and `heap_make` refuse what a size_t cannot hold.

   One object is for one thread at a time: between `sort` and `gather` it holds a block (`sorter.py` sees to it). No Python
   code runs while it is at work, and nothing is shared but constants; other threads run on meanwhile. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030A0000
#include <Python.h>
#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SKELETON = 2000, MAX_STRETCHES = 1024, MAX_FIELDS = 512, MAX_WATCHES = 64, MAX_NUMBER = 63, MIN_SLOTS = 1024 };
enum { RUN_END, RUN_DIGITS, RUN_FIXED, RUN_BLOCKS };                          /* what follows the kept bytes of a stretch */
enum { FIELD_FLOAT, FIELD_COMMAS, FIELD_INT, FIELD_STAMP, FIELD_DURATION };   /* as `What` in runs.py */
enum { NOBODY = -1 };
enum { INTERFACE = 1 };                                                       /* as in native.py: one more when calls change */
enum { GOOD, HELD, BAD, HEAPS };                                              /* lines of a group: `read_line` */
static const long long MAX_FIRST = 1LL << 62;                                 /* numbers of lines and rows */
static const int64_t LONG_NUMBER = 1000000000000000; /* as `_LONG` in layout.py */

typedef struct { int32_t kept, run, text, size; } Stretch;                    /* text, size: the digits of RUN_FIXED */
typedef struct { int32_t what, first, before, last, after; } Field;           /* from stretch `first` + before to `last` + after */
typedef struct { int32_t first, before, back, text, size; } Watch;            /* a text that would begin so many bytes before a place */
typedef struct { int32_t stretches, fields, watches; Stretch *stretch; Field *field; Watch *watch; char *texts; } Form;
typedef struct { size_t skeleton; int32_t size, group; Form *form; } Kind;
typedef struct { uint64_t hash; int64_t kind; } Slot;                         /* kind -1: free */
typedef struct { int32_t start, stop, feeds, kind; } Line;
typedef union { double number; int64_t count; } Cell;

typedef struct {
    PyObject_HEAD
    uint64_t seed, key;
    Slot *slots; size_t capacity;
    Kind *kinds; Py_ssize_t count; size_t space_kinds;
    char *arena; size_t used, space;
    Line *lines; Py_ssize_t size; size_t space_lines;
    Py_ssize_t fresh;                                                         /* the first kind of this block */
    int32_t *firsts; size_t space_firsts;                                     /* the first line of each fresh kind */
    int32_t groups;
    PyObject *data;
    int is_busy;                                                              /* a thread is in `sort` or `gather`, others run on */
} Sorter;

#define ONES 1, 1, 1, 1, 1, 1, 1, 1
#define NONE 0, 0, 0, 0, 0, 0, 0, 0
/* Which bytes a skeleton keeps: all but digits and those of U+2588..U+258F. */
static const uint8_t KEPT[256] = {
    ONES, ONES, ONES, ONES, ONES, ONES, NONE, 0, 0, 1, 1, 1, 1, 1, 1, ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES,
    ONES, NONE, 1, 1, 1, 1, 1, 1, 0, 1, ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES, 1, 1, 0, 1, 1, 1, 1, 1, ONES, ONES, ONES,
};

/* Copies the bytes of a text that are part of its skeleton; how many. There is room for `size` bytes and 16 more. */
static int32_t kept_plainly(const char *text, Py_ssize_t size, char *skeleton)
{
    int32_t count = 0;
    for (Py_ssize_t at = 0; at < size; at++) {
        skeleton[count] = text[at];
        count += KEPT[(uint8_t)text[at]];
    }
    return count;
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <tmmintrin.h>
static uint8_t SHUFFLES[256][8], COUNTS[256];                                 /* of 8 bytes those whose bits are not set */

static void make_shuffles(void)
{
    for (int mask = 0; mask < 256; mask++) {
        uint8_t count = 0;
        for (int bit = 0; bit < 8; bit++)
            if (!(mask >> bit & 1)) SHUFFLES[mask][count++] = (uint8_t)bit;
        COUNTS[mask] = count;
    }
}

/* The same sixteen bytes at a time. */
__attribute__((target("ssse3"))) static int32_t kept_at_once(const char *text, Py_ssize_t size, char *skeleton)
{
    const __m128i zero = _mm_set1_epi8('0'), nine = _mm_set1_epi8(9), block = _mm_set1_epi8((char)0x88), seven = _mm_set1_epi8(7);
    const __m128i first = _mm_set1_epi8((char)0xe2), second = _mm_set1_epi8((char)0x96);
    Py_ssize_t at = 0;
    int32_t count = 0;
    for (; at + 16 <= size; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(text + at));
        __m128i digit = _mm_sub_epi8(bytes, zero), tail = _mm_sub_epi8(bytes, block);
        __m128i gone = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(digit, nine), digit), _mm_cmpeq_epi8(_mm_min_epu8(tail, seven), tail));
        gone = _mm_or_si128(gone, _mm_or_si128(_mm_cmpeq_epi8(bytes, first), _mm_cmpeq_epi8(bytes, second)));
        unsigned mask = (unsigned)_mm_movemask_epi8(gone), low = mask & 255, high = mask >> 8;
        if (!mask) {
            _mm_storeu_si128((__m128i *)(skeleton + count), bytes);
            count += 16;
            continue;
        }
        __m128i order = _mm_loadl_epi64((const __m128i *)SHUFFLES[low]);
        _mm_storel_epi64((__m128i *)(skeleton + count), _mm_shuffle_epi8(bytes, order));
        count += COUNTS[low];
        order = _mm_loadl_epi64((const __m128i *)SHUFFLES[high]);
        _mm_storel_epi64((__m128i *)(skeleton + count), _mm_shuffle_epi8(_mm_srli_si128(bytes, 8), order));
        count += COUNTS[high];
    }
    return count + kept_plainly(text + at, size - at, skeleton + count);
}
#endif

static int32_t (*kept)(const char *, Py_ssize_t, char *) = kept_plainly;

static int is_digit(char byte) { return (unsigned char)(byte - '0') < 10; }

static int is_block(char byte) { return !KEPT[(uint8_t)byte] && !is_digit(byte); }

/* Both halves of the product, one upon the other: without the key nobody can choose words that fall together. */
static uint64_t folded(uint64_t a, uint64_t key)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 Wide;
    Wide product = (Wide)a * key;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t low = (a & UINT32_MAX) * (key & UINT32_MAX), high = (a >> 32) * (key >> 32), one = (a & UINT32_MAX) * (key >> 32);
    uint64_t other = (a >> 32) * (key & UINT32_MAX), carried = (low >> 32) + (one & UINT32_MAX) + (other & UINT32_MAX);
    return ((carried << 32) | (low & UINT32_MAX)) ^ (high + (one >> 32) + (other >> 32) + (carried >> 32));
#endif
}

static uint64_t hashed(const char *text, size_t size, uint64_t seed, uint64_t key)
{
    uint64_t hash = folded(seed ^ size, key), word;
    for (; size >= 8; text += 8, size -= 8) {
        memcpy(&word, text, 8);
        hash = folded(hash ^ word, key);
    }
    word = 0;
    memcpy(&word, text, size);
    return folded(hash ^ word, key);
}

/* An array that can hold `wanted` items, twice as large as before where it could not; NULL where there is no memory. */
static void *grown(void *array, size_t item, size_t wanted, size_t *space)
{
    size_t next = *space ? *space : 256;
    if (wanted <= *space) return array;
    while (next < wanted && next <= SIZE_MAX / 2 / item) next *= 2;
    void *moved = next < wanted ? NULL : realloc(array, next * item);
    if (moved) *space = next;
    return moved;
}

static void form_free(Form *form)
{
    if (!form) return;
    free(form->stretch);
    free(form->field);
    free(form->watch);
    free(form->texts);
    free(form);
}

static void forget(Sorter *self)
{
    for (Py_ssize_t k = 0; k < self->count; k++) form_free(self->kinds[k].form);
    for (size_t k = 0; k < self->capacity; k++) self->slots[k].kind = -1;
    self->count = self->fresh = self->size = 0;
    self->used = 0;
    self->groups = 0;
    Py_CLEAR(self->data);
}

static int is_entered(const Sorter *self)
{
    if (self->is_busy) PyErr_SetString(PyExc_RuntimeError, "another thread uses this sorter");
    return !self->is_busy;
}

static int room_for_slots(Sorter *self)
{
    if (self->capacity > 2 * (size_t)self->count) return 0;
    size_t capacity = self->capacity ? 2 * self->capacity : MIN_SLOTS;
    Slot *slots = malloc(capacity * sizeof *slots);
    if (!slots) return -1;
    for (size_t k = 0; k < capacity; k++) slots[k].kind = -1;
    for (size_t k = 0; k < self->capacity; k++) {
        if (self->slots[k].kind < 0) continue;
        size_t at = self->slots[k].hash & (capacity - 1);
        while (slots[at].kind >= 0) at = (at + 1) & (capacity - 1);
        slots[at] = self->slots[k];
    }
    free(self->slots);
    self->slots = slots;
    self->capacity = capacity;
    return 0;
}

/* Puts a new kind into a free slot; -2 where there is no memory. */
static int64_t new_kind(Sorter *self, const char *skeleton, int32_t size, uint64_t hash, size_t at)
{
    size_t fresh = (size_t)(self->count - self->fresh);
    Kind *kinds = grown(self->kinds, sizeof *kinds, (size_t)self->count + 1, &self->space_kinds);
    if (!kinds) return -2;
    self->kinds = kinds;
    int32_t *firsts = grown(self->firsts, sizeof *firsts, fresh + 1, &self->space_firsts);
    if (!firsts) return -2;
    self->firsts = firsts;
    char *arena = grown(self->arena, 1, self->used + (size_t)size + 1, &self->space);
    if (!arena) return -2;
    self->arena = arena;
    memcpy(arena + self->used, skeleton, (size_t)size);
    arena[self->used + (size_t)size] = '\n';
    kinds[self->count] = (Kind){self->used, size, NOBODY, NULL};
    firsts[fresh] = (int32_t)self->size;
    self->used += (size_t)size + 1;
    self->slots[at] = (Slot){hash, self->count};
    self->count++;
    return room_for_slots(self) ? -2 : self->count - 1;
}

/* The kind of a skeleton, a new one where it was not seen; -2 where there is no memory. */
static int64_t kind_of(Sorter *self, const char *skeleton, int32_t size)
{
    uint64_t hash = hashed(skeleton, (size_t)size, self->seed, self->key);
    size_t mask = self->capacity - 1, at = hash & mask;
    for (; self->slots[at].kind >= 0; at = (at + 1) & mask) {
        const Kind *kind = self->kinds + self->slots[at].kind;
        if (self->slots[at].hash == hash && kind->size == size && !memcmp(self->arena + kind->skeleton, skeleton, (size_t)size))
            return self->slots[at].kind;
    }
    return new_kind(self, skeleton, size, hash, at);
}

/* Sorts one line; -1 where there is no memory. The kind of a line whose skeleton is too long is -1. */
static int add_line(Sorter *self, const char *data, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t feeds)
{
    char skeleton[MAX_SKELETON + 16];
    int64_t kind = -1;
    Py_ssize_t at = stop - start > MAX_SKELETON ? start + MAX_SKELETON : stop;
    int32_t size = kept(data + start, at - start, skeleton);
    for (; at < stop && size <= MAX_SKELETON; at++) {
        skeleton[size] = data[at];
        size += KEPT[(uint8_t)data[at]];
    }
    if (size <= MAX_SKELETON && (kind = kind_of(self, skeleton, size)) == -2) return -1;
    Line *lines = grown(self->lines, sizeof *lines, (size_t)self->size + 1, &self->space_lines);
    if (!lines) return -1;
    self->lines = lines;
    lines[self->size++] = (Line){(int32_t)start, (int32_t)stop, (int32_t)feeds, (int32_t)kind};
    return 0;
}

static Py_ssize_t found(const char *data, Py_ssize_t from, Py_ssize_t size, int byte)
{
    const char *at = from < size ? memchr(data + from, byte, (size_t)(size - from)) : NULL;
    return at ? at - data : size;
}

PyDoc_STRVAR(sort_doc, "sort(data, is_crlf) -> (fragments, line feeds, first fresh kind, fresh skeletons)\n\n"
"Sorts the fragments of a block. The skeletons of kinds that were not seen before come in their order, each with a line feed.");

/* Sorts the lines of the block; the line feeds, or -1 where there is no memory. */
static Py_ssize_t add_lines(Sorter *self, const char *data, Py_ssize_t size, int is_crlf)
{
    Py_ssize_t start = 0, feeds = 0, feed = found(data, 0, size, '\n'), carriage = found(data, 0, size, '\r');
    if (room_for_slots(self)) return -1;
    while (start < size) {
        Py_ssize_t stop = feed < carriage ? feed : carriage;
        if (add_line(self, data, start, stop, feeds)) return -1;
        if (is_crlf && stop == carriage && feed < size && feed == carriage + 1) stop = feed;
        start = stop + 1;
        if (stop == feed && stop < size) {
            feeds++;
            feed = found(data, start, size, '\n');
        }
        if (carriage < start) carriage = found(data, start, size, '\r');
    }
    return feeds;
}

static PyObject *sorter_sort(Sorter *self, PyObject *args)
{
    PyObject *whole, *before;
    int is_crlf;
    char *data;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "Sp:sort", &whole, &is_crlf) || PyBytes_AsStringAndSize(whole, &data, &size)) return NULL;
    if (!is_entered(self)) return NULL;
    if (!PyBytes_CheckExact(whole)) return PyErr_Format(PyExc_TypeError, "a block must be bytes");
    if (size > INT32_MAX - 1) return PyErr_Format(PyExc_ValueError, "a block of %zd bytes", size);
    before = self->data;
    Py_INCREF(whole);
    self->data = whole;
    Py_XDECREF(before);
    self->size = 0;
    self->fresh = self->count;
    size_t used = self->used;
    Py_ssize_t feeds;
    self->is_busy = 1;
    Py_BEGIN_ALLOW_THREADS
    feeds = add_lines(self, data, size, is_crlf);
    Py_END_ALLOW_THREADS
    self->is_busy = 0;
    if (feeds < 0) {
        forget(self);                                                         /* its kinds were said to nobody */
        return PyErr_NoMemory();
    }
    return Py_BuildValue("nnny#", self->size, feeds, self->fresh, self->arena ? self->arena + used : "", (Py_ssize_t)(self->used - used));
}

PyDoc_STRVAR(line_doc, "line(kind) -> bytes\n\nThe first line of a fresh kind.");

static PyObject *sorter_line(Sorter *self, PyObject *arg)
{
    Py_ssize_t kind = PyLong_AsSsize_t(arg);
    if ((kind == -1 && PyErr_Occurred()) || !is_entered(self)) return NULL;
    if (!self->data || kind < self->fresh || kind >= self->count) return PyErr_Format(PyExc_IndexError, "no fresh kind %zd", kind);
    char *data = PyBytes_AsString(self->data);
    const Line *line = self->lines + self->firsts[kind - self->fresh];
    return data ? PyBytes_FromStringAndSize(data + line->start, line->stop - line->start) : NULL;
}

static int is_form(const Form *form, Py_ssize_t texts)
{
    for (int32_t k = 0; k < form->stretches; k++) {
        const Stretch *one = form->stretch + k;
        if (one->kept < 0 || one->run < RUN_END || one->run > RUN_BLOCKS || one->text < 0 || one->size < 0) return 0;
        if ((one->run == RUN_END) != (k == form->stretches - 1) || (Py_ssize_t)one->text + one->size > texts) return 0;
    }
    for (int32_t k = 0; k < form->fields; k++) {
        const Field *one = form->field + k;
        if (one->what < FIELD_FLOAT || one->what > FIELD_DURATION || one->before < 0 || one->after < 0) return 0;
        if (one->first < 0 || one->last < one->first || one->last >= form->stretches) return 0;
        if (one->before > form->stretch[one->first].kept || one->after > form->stretch[one->last].kept) return 0;
    }
    for (int32_t k = 0; k < form->watches; k++) {
        const Watch *one = form->watch + k;
        if (one->first < 0 || one->first >= form->stretches || one->before < 0 || one->before > form->stretch[one->first].kept) return 0;
        if (one->back < 0 || one->text < 0 || one->size < 1 || (Py_ssize_t)one->text + one->size > texts) return 0;
    }
    return 1;
}

static void *copied(const void *from, Py_ssize_t size)
{
    void *copy = malloc(size ? (size_t)size : 1);
    if (copy && size) memcpy(copy, from, (size_t)size);
    if (!copy) PyErr_NoMemory();
    return copy;
}

PyDoc_STRVAR(tell_doc, "tell(kind, group, stretches=b'', fields=b'', watches=b'', texts=b'')\n\n"
"Says what the lines of a kind are: the group that they belong to, and their form as 32-bit numbers (`forms.py`).");

static PyObject *sorter_tell(Sorter *self, PyObject *args)
{
    Py_ssize_t kind, stretches = 0, fields = 0, watches = 0, texts = 0;
    int group;
    const char *stretch = "", *field = "", *watch = "", *text = "";
    if (!PyArg_ParseTuple(args, "ni|y#y#y#y#:tell", &kind, &group, &stretch, &stretches, &field, &fields, &watch, &watches, &text, &texts))
        return NULL;
    if (!is_entered(self)) return NULL;
    if (kind < 0 || kind >= self->count) return PyErr_Format(PyExc_IndexError, "no kind %zd", kind);
    if (group < NOBODY || group > (1 << 20)) return PyErr_Format(PyExc_ValueError, "no group %d", group);
    Form *form = NULL;
    if (stretches) {
        if (stretches % (Py_ssize_t)sizeof(Stretch) || fields % (Py_ssize_t)sizeof(Field) || watches % (Py_ssize_t)sizeof(Watch)
            || stretches > MAX_STRETCHES * (Py_ssize_t)sizeof(Stretch) || fields > MAX_FIELDS * (Py_ssize_t)sizeof(Field)
            || watches > MAX_WATCHES * (Py_ssize_t)sizeof(Watch) || texts > INT32_MAX)
            return PyErr_Format(PyExc_ValueError, "a form of %zd, %zd and %zd bytes", stretches, fields, watches);
        if (!(form = calloc(1, sizeof *form))) return PyErr_NoMemory();
        form->stretches = (int32_t)(stretches / (Py_ssize_t)sizeof(Stretch));
        form->fields = (int32_t)(fields / (Py_ssize_t)sizeof(Field));
        form->watches = (int32_t)(watches / (Py_ssize_t)sizeof(Watch));
        form->stretch = copied(stretch, stretches);
        form->field = copied(field, fields);
        form->watch = copied(watch, watches);
        form->texts = copied(text, texts);
        if (!form->stretch || !form->field || !form->watch || !form->texts || !is_form(form, texts)) {
            form_free(form);
            return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no form");
        }
    }
    form_free(self->kinds[kind].form);
    self->kinds[kind].form = form;
    self->kinds[kind].group = group;
    if (group >= self->groups) self->groups = group + 1;
    Py_RETURN_NONE;
}

static const double TENS[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
                              1e18, 1e19, 1e20, 1e21, 1e22};

/* A number that is longer than what a double holds exactly. Where the program's locale has another decimal point `strtod` does
   not get to the end, and the line is read by Python. */
static int slow_number(const char *text, Py_ssize_t size, int has_commas, double *number)
{
    char copy[MAX_NUMBER + 1], *end;
    int length = 0;
    for (Py_ssize_t k = 0; k < size; k++)
        if (!has_commas || text[k] != ',') copy[length++] = text[k];
    copy[length] = 0;
    *number = strtod(copy, &end);
    return end == copy + length;
}

#if LDBL_MANT_DIG == 64
static const long double WIDE_TENS[] = {1e0L, 1e1L, 1e2L, 1e3L, 1e4L, 1e5L, 1e6L, 1e7L, 1e8L, 1e9L, 1e10L, 1e11L, 1e12L, 1e13L,
                                        1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};

/* The nearest double to whole * 10^exponent by arithmetic of 64 bits, where whole and the power are exact: the result of one
   operation is rounded a second time, which goes wrong only where the first result is the middle between two doubles. */
static int wide_number(uint64_t whole, int exponent, double *value)
{
    if (exponent < -27 || exponent > 27) return 0;
    long double wide = exponent < 0 ? (long double)whole / WIDE_TENS[-exponent] : (long double)whole * WIDE_TENS[exponent];
    uint64_t mantissa;
    memcpy(&mantissa, &wide, sizeof mantissa);
    *value = (double)wide;
    return (mantissa & 0x7ff) != 0x400;
}
#else
static int wide_number(uint64_t whole, int exponent, double *value)
{
    (void)whole, (void)exponent, (void)value;
    return 0;
}
#endif

/* `(double)whole * 10^exponent` rounded once, as float() rounds: up to 2^53 and 10^22 are doubles themselves. 0 where that is
   not so and arithmetic of 64 bits does not help either. */
static int exact_number(uint64_t whole, int exponent, double *value)
{
    *value = (double)whole;
    if (!whole) return 1;
    if (FLT_EVAL_METHOD != 0 || whole >> 53 || exponent > 22 || exponent < -22) return wide_number(whole, exponent, value);
    *value = exponent < 0 ? *value / TENS[-exponent] : *value * TENS[exponent];
    return 1;
}

/* Digits at a place, added to a number; behind them. */
static const char *digits_at(const char *at, const char *end, uint64_t *whole)
{
    for (; at < end && is_digit(*at); at++) *whole = 10 * *whole + (uint64_t)(*at - '0');
    return at;
}

/* Adds what stands behind `e` (a large number for one of many digits); 0 where that is no exponent. */
static int read_power(const char *at, const char *end, int *exponent)
{
    uint64_t power = 0;
    int is_small = 0;
    if (at < end && (*at == '-' || *at == '+')) is_small = *at++ == '-';
    const char *stop = digits_at(at, end, &power);
    if (stop == at || stop < end) return 0;
    int size = stop - at > 4 ? 100000 : (int)power;
    *exponent += is_small ? -size : size;
    return 1;
}

/* A decimal number, the nearest double as float() gives it; 0 where the text is none, or a long one. */
static int read_number(const char *text, Py_ssize_t size, int has_commas, double *number)
{
    const char *at = text, *end = text + size, *point;
    uint64_t whole = 0;
    int exponent = 0, is_negative = 0;
    Py_ssize_t digits;
    if (size > MAX_NUMBER) return 0;
    if (at < end && (*at == '-' || *at == '+')) is_negative = *at++ == '-';
    const char *first = at;
    at = digits_at(at, end, &whole);
    if (has_commas)
        while (at < end && *at == ',') first++, at = digits_at(at + 1, end, &whole);
    digits = at - first;
    if (at < end && *at == '.') {
        point = ++at;
        at = digits_at(at, end, &whole);
        exponent = -(int)(at - point);
        digits += at - point;
    }
    if (digits < 1) return 0;
    if (at < end && (*at == 'e' || *at == 'E') && read_power(at + 1, end, &exponent)) at = end;
    if (at < end) return 0;
    if (digits > 18 || !exact_number(whole, exponent, number)) return slow_number(text, size, has_commas, number);
    if (is_negative) *number = -*number;
    return 1;
}

static int read_count(const char *text, Py_ssize_t size, int64_t *count)
{
    int64_t value = 0;
    if (!size || size > MAX_NUMBER) return 0;
    for (Py_ssize_t k = 0; k < size; k++) {
        if (!is_digit(text[k])) return 0;
        value = 10 * value + (text[k] - '0');
        if (value > LONG_NUMBER) return 0;
    }
    *count = value;
    return 1;
}

static int two(const char *text, int *value)
{
    *value = 10 * (text[0] - '0') + (text[1] - '0');
    return is_digit(text[0]) && is_digit(text[1]);
}

/* Days from 1970-01-01 to the first day of a month of the proleptic Gregorian calendar. */
static int64_t days_to(int year, int month)
{
    int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 - 719468;
}

/* `2024-03-01 10:00:09` or `…,017` -> seconds since the epoch. */
static int read_stamp(const char *t, Py_ssize_t size, double *seconds)
{
    int century, year, month, day, hour, minute, second;
    if ((size != 19 && size != 23) || t[4] != '-' || t[7] != '-' || t[10] != ' ' || t[13] != ':' || t[16] != ':') return 0;
    if (!two(t, &century) || !two(t + 2, &year) || !two(t + 5, &month) || !two(t + 8, &day)) return 0;
    if (!two(t + 11, &hour) || !two(t + 14, &minute) || !two(t + 17, &second)) return 0;
    year += 100 * century;
    if (year < 1970 || year >= 2200 || month < 1 || month > 12 || day < 1 || day > 31) return 0;
    int64_t days = days_to(year, month) + day - 1;
    if (!days) return 0;
    *seconds = (double)(days * 86400 + hour * 3600 + minute * 60 + second);
    if (size == 23) {
        if (t[19] != ',' || !is_digit(t[20]) || !is_digit(t[21]) || !is_digit(t[22])) return 0;
        *seconds += (100 * (t[20] - '0') + 10 * (t[21] - '0') + (t[22] - '0')) / 1000.0;
    }
    return 1;
}

/* `02:03` or `9:02:03` -> seconds. */
static int read_duration(const char *text, Py_ssize_t size, double *seconds)
{
    Py_ssize_t at = 0;
    int value = 0, part;
    while (at < size && at < 5 && is_digit(text[at])) value = 10 * value + (text[at++] - '0');
    if (at < 1 || at > 4 || (size - at != 3 && size - at != 6)) return 0;
    int64_t whole = value;
    for (; at < size; at += 3) {
        if (text[at] != ':' || !two(text + at + 1, &part)) return 0;
        whole = 60 * whole + part;
    }
    *seconds = (double)whole;
    return 1;
}

static int read_field(const Field *field, const char *text, Py_ssize_t size, Cell *cell)
{
    switch (field->what) {
    case FIELD_INT: return read_count(text, size, &cell->count);
    case FIELD_STAMP: return read_stamp(text, size, &cell->number);
    case FIELD_DURATION: return read_duration(text, size, &cell->number);
    default: return read_number(text, size, field->what == FIELD_COMMAS, &cell->number);
    }
}

/* The fields of one line: BAD where it has not the form, HELD where it holds a text that is watched for. The form's kept bytes are not compared: the line has the skeleton, and
   where it is used up to its end each of them stood where it was passed (digits cannot be: runs take nothing else). */
static int read_line(const Form *form, const char *text, Py_ssize_t size, Cell *cells)
{
    Py_ssize_t places[MAX_STRETCHES], at = 0;
    int found = GOOD;
    for (int32_t k = 0; k < form->stretches; k++) {
        const Stretch *one = form->stretch + k;
        places[k] = at;
        if (one->kept > size - at) return BAD;
        at += one->kept;
        Py_ssize_t run = at;
        if (one->run == RUN_BLOCKS) {
            while (at < size && is_block(text[at])) at++;
            continue;
        }
        if (one->run == RUN_END) break;
        while (at < size && is_digit(text[at])) at++;
        if (at == run) return BAD;
        if (one->run == RUN_FIXED && (at - run != one->size || memcmp(text + run, form->texts + one->text, (size_t)one->size))) return BAD;
    }
    if (at != size) return BAD;
    for (int32_t k = 0; k < form->watches; k++) {
        const Watch *one = form->watch + k;
        Py_ssize_t start = places[one->first] + one->before - one->back;
        if (start >= 0 && one->size <= size - start && !memcmp(text + start, form->texts + one->text, (size_t)one->size)) found = HELD;
    }
    for (int32_t k = 0; k < form->fields; k++) {
        const Field *one = form->field + k;
        Py_ssize_t start = places[one->first] + one->before, stop = places[one->last] + one->after;
        if (start > stop || stop > size || !read_field(one, text + start, stop - start, cells + k)) return BAD;
    }
    return found;
}

/* The lines of one group while they are gathered: where each stands and, of plain ones, its cells in `fields` columns. */
typedef struct { Py_ssize_t count, space; int32_t fields; int32_t *at, *start, *stop; int64_t *number; Cell *cells; } Heap;

static void heap_free(Heap *heap)
{
    free(heap->at);
    free(heap->start);
    free(heap->stop);
    free(heap->number);
    free(heap->cells);
    memset(heap, 0, sizeof *heap);
}

static int heap_make(Heap *heap, Py_ssize_t space, int32_t fields)
{
    size_t size = (size_t)(space ? space : 1), width = fields > 0 ? (size_t)fields : 1;
    if (size > SIZE_MAX / 8 / width) return -1;
    *heap = (Heap){0, space, fields, malloc(size * 4), malloc(size * 4), malloc(size * 4), malloc(size * 8), NULL};
    if (fields > 0) heap->cells = malloc(size * width * sizeof(Cell));
    if (heap->at && heap->start && heap->stop && heap->number && (fields <= 0 || heap->cells)) return 0;
    heap_free(heap);
    return -1;
}

static void heap_add(Heap *heap, Py_ssize_t at, const Line *line, int64_t first, const Cell *cells)
{
    Py_ssize_t k = heap->count++;
    heap->at[k] = (int32_t)at;
    heap->start[k] = line->start;
    heap->stop[k] = line->stop;
    heap->number[k] = first + line->feeds;
    for (int32_t column = 0; column < heap->fields; column++) heap->cells[column * heap->space + k] = cells[column];
}

/* (group, places, starts, stops, numbers, columns or None, whether nothing watched for is held), appended to a list; -1 with an exception. */
static int heap_say(const Heap *heap, Py_ssize_t group, int is_bare, PyObject *list)
{
    PyObject *columns = NULL, *item = NULL;
    Py_ssize_t n = heap->count;
    int done = -1;
    if (!n) return 0;
    if (heap->fields < 0) {
        columns = Py_None;
        Py_INCREF(columns);
    } else if (!(columns = PyTuple_New(heap->fields))) return -1;
    for (int32_t k = 0; k < heap->fields; k++) {
        PyObject *column = PyBytes_FromStringAndSize((char *)(heap->cells + k * heap->space), 8 * n);
        if (!column || PyTuple_SetItem(columns, k, column)) goto out;
    }
    item = Py_BuildValue("ny#y#y#y#OO", group, (char *)heap->at, 4 * n, (char *)heap->start, 4 * n, (char *)heap->stop, 4 * n,
                         (char *)heap->number, 8 * n, columns, is_bare && heap->fields >= 0 ? Py_True : Py_False);
    done = item ? PyList_Append(list, item) : -1;
out:
    Py_XDECREF(item);
    Py_DECREF(columns);
    return done;
}

PyDoc_STRVAR(gather_doc, "gather(first, wanted) -> [(group, places, starts, stops, numbers, columns, is bare)]\n\n"
"The lines of the wanted groups (a byte of 1 for each). `first`: the number of the block's first line. Places, starts and stops\n"
"are arrays of 32 bits, numbers of lines of 64; columns are arrays of 64 bits, or None for lines without a form. Bare lines have\n"
"columns and hold nothing that is watched for. Group -1: lines whose skeleton is too long.");

static int is_wanted(const Kind *kind, const char *wanted, Py_ssize_t count)
{
    return !kind || (kind->group >= 0 && kind->group < count && wanted[kind->group]);
}

/* Fills `HEAPS` heaps for each group; -1 where there is no memory. */
static int gathered(const Sorter *self, const char *data, int64_t first, const char *wanted, Py_ssize_t count, Py_ssize_t *sizes,
                    int32_t *fields, Heap *heaps)
{
    Cell cells[MAX_FIELDS];
    for (Py_ssize_t k = 0; k <= self->groups; k++) fields[k] = NOBODY;
    for (Py_ssize_t k = 0; k < self->size; k++) {
        const Kind *kind = self->lines[k].kind < 0 ? NULL : self->kinds + self->lines[k].kind;
        if (!is_wanted(kind, wanted, count)) continue;
        sizes[kind ? kind->group + 1 : 0]++;
        if (kind && kind->form) fields[kind->group + 1] = kind->form->fields;
    }
    for (Py_ssize_t k = 0; k < self->size; k++) {
        const Line *line = self->lines + k;
        const Kind *kind = line->kind < 0 ? NULL : self->kinds + line->kind;
        if (!is_wanted(kind, wanted, count)) continue;
        Py_ssize_t group = kind ? kind->group + 1 : 0;
        int which = BAD;
        if (kind && kind->form && kind->form->fields == fields[group])
            which = read_line(kind->form, data + line->start, line->stop - line->start, cells);
        Heap *heap = heaps + HEAPS * group + which;
        if (!heap->at && heap_make(heap, sizes[group], which == BAD ? NOBODY : fields[group])) return -1;
        heap_add(heap, k, line, first, cells);
    }
    return 0;
}

static PyObject *sorter_gather(Sorter *self, PyObject *args)
{
    long long first;
    const char *wanted;
    char *data;
    Py_ssize_t count, groups, unused;
    PyObject *list = NULL;
    if (!PyArg_ParseTuple(args, "Ly#:gather", &first, &wanted, &count) || !is_entered(self)) return NULL;
    groups = self->groups + 1;                                                /* the first one is of lines with a long skeleton */
    if (!self->data) return PyErr_Format(PyExc_ValueError, "nothing was sorted");
    if (PyBytes_AsStringAndSize(self->data, &data, &unused)) return NULL;
    if (first < 0 || first > MAX_FIRST) return PyErr_Format(PyExc_ValueError, "no line %lld", first);
    Py_ssize_t *sizes = calloc((size_t)groups, sizeof *sizes);
    int32_t *fields = malloc((size_t)groups * sizeof *fields);
    Heap *heaps = calloc((size_t)groups * HEAPS, sizeof *heaps);
    int is_done = 0;
    if (sizes && fields && heaps) {
        self->is_busy = 1;
        Py_BEGIN_ALLOW_THREADS
        is_done = !gathered(self, data, first, wanted, count, sizes, fields, heaps);
        Py_END_ALLOW_THREADS
        self->is_busy = 0;
    }
    if (!is_done) PyErr_NoMemory();
    else list = PyList_New(0);
    for (Py_ssize_t k = 0; list && k < HEAPS * groups; k++)
        if (heap_say(heaps + k, k / HEAPS - 1, k % HEAPS == GOOD, list)) Py_CLEAR(list);
    for (Py_ssize_t k = 0; heaps && k < HEAPS * groups; k++) heap_free(heaps + k);
    free(sizes);
    free(fields);
    free(heaps);
    return list;
}

PyDoc_STRVAR(forget_doc, "forget()\n\nForgets all kinds.");

static PyObject *sorter_forget(Sorter *self, PyObject *Py_UNUSED(none))
{
    if (!is_entered(self)) return NULL;
    forget(self);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(size_doc, "size() -> (kinds, bytes of their skeletons)");

static PyObject *sorter_size(Sorter *self, PyObject *Py_UNUSED(none))
{
    return is_entered(self) ? Py_BuildValue("nn", self->count, (Py_ssize_t)self->used) : NULL;
}

static PyObject *sorter_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    unsigned long long seed, key;
    if (names && PyDict_Size(names)) return PyErr_Format(PyExc_TypeError, "Sorter() takes no keyword arguments");
    if (!PyArg_ParseTuple(args, "KK:Sorter", &seed, &key)) return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Sorter *self = (Sorter *)alloc(type, 0);
    if (!self) return NULL;
    self->seed = seed;
    self->key = key | 1;
    return (PyObject *)self;
}

static void sorter_free(Sorter *self)
{
    PyTypeObject *type = Py_TYPE(self);
    forget(self);
    free(self->slots);
    free(self->kinds);
    free(self->arena);
    free(self->lines);
    free(self->firsts);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(numbered_doc, "numbered(size, first, places) -> bytes\n\n"
"The number that each fragment's row has, and the one that follows, where `first` is the first: an array of 64 bits. `places`: the\n"
"fragments that have rows, as arrays of 32 bits.");

static PyObject *numbered(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_ssize_t size, length;
    long long first;
    PyObject *places, *made = NULL;
    char *text;
    if (!PyArg_ParseTuple(args, "nLO!:numbered", &size, &first, &PyList_Type, &places)) return NULL;
    if (size < 0 || size > INT32_MAX - 1) return PyErr_Format(PyExc_ValueError, "%zd fragments", size);
    if (first < -MAX_FIRST || first > MAX_FIRST) return PyErr_Format(PyExc_ValueError, "no row %lld", first);
    int64_t *numbers = calloc((size_t)size + 1, sizeof *numbers);
    if (!numbers) return PyErr_NoMemory();
    numbers[0] = first;
    for (Py_ssize_t k = 0; k < PyList_Size(places); k++) {
        if (PyBytes_AsStringAndSize(PyList_GetItem(places, k), &text, &length)) goto out;
        for (Py_ssize_t at = 0; at + 4 <= length; at += 4) {
            int32_t place;
            memcpy(&place, text + at, 4);
            if (place < 0 || place >= size) { PyErr_Format(PyExc_IndexError, "no fragment %d", (int)place); goto out; }
            numbers[place + 1]++;
        }
    }
    for (Py_ssize_t k = 0; k < size; k++) numbers[k + 1] += numbers[k];
    made = PyBytes_FromStringAndSize((char *)numbers, 8 * (size + 1));
out:
    free(numbers);
    return made;
}

PyDoc_STRVAR(picked_doc, "picked(items, places) -> bytes\n\nThe items at these places; items are of 64 bits, places of 32.");

static PyObject *picked(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *items, *places;
    Py_ssize_t count, length;
    if (!PyArg_ParseTuple(args, "y#y#:picked", &items, &count, &places, &length)) return NULL;
    if (length > PY_SSIZE_T_MAX / 2) return PyErr_NoMemory();
    PyObject *made = PyBytes_FromStringAndSize(NULL, length / 4 * 8);
    char *out = made ? PyBytes_AsString(made) : NULL;
    for (Py_ssize_t at = 0; out && at + 4 <= length; at += 4) {
        int32_t place;
        memcpy(&place, places + at, 4);
        if (place < 0 || place >= count / 8) {
            Py_DECREF(made);
            return PyErr_Format(PyExc_IndexError, "no item %d", (int)place);
        }
        memcpy(out + 2 * at, items + 8 * (Py_ssize_t)place, 8);
    }
    return made;
}

static PyMethodDef FUNCTIONS[] = {
    {"numbered", numbered, METH_VARARGS, numbered_doc},
    {"picked", picked, METH_VARARGS, picked_doc},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef METHODS[] = {
    {"sort", (PyCFunction)sorter_sort, METH_VARARGS, sort_doc},
    {"line", (PyCFunction)sorter_line, METH_O, line_doc},
    {"tell", (PyCFunction)sorter_tell, METH_VARARGS, tell_doc},
    {"gather", (PyCFunction)sorter_gather, METH_VARARGS, gather_doc},
    {"forget", (PyCFunction)sorter_forget, METH_NOARGS, forget_doc},
    {"size", (PyCFunction)sorter_size, METH_NOARGS, size_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot SLOTS[] = {
    {Py_tp_doc, "Sorter(seed, key): sorts the lines of blocks by their skeletons."},
    {Py_tp_new, sorter_new},
    {Py_tp_dealloc, sorter_free},
    {Py_tp_methods, METHODS},
    {0, NULL},
};

static PyType_Spec SPEC = {"parsers._lines.Sorter", sizeof(Sorter), 0, Py_TPFLAGS_DEFAULT, SLOTS};

static int module_exec(PyObject *module)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (kept == kept_plainly && __builtin_cpu_supports("ssse3")) {            /* once in a process: others may be reading */
        make_shuffles();
        kept = kept_at_once;
    }
#endif
    if (PyModule_AddIntConstant(module, "INTERFACE", INTERFACE)) return -1;
    PyObject *type = PyType_FromSpec(&SPEC);
    if (!type) return -1;
    if (PyModule_AddObject(module, "Sorter", type)) { Py_DECREF(type); return -1; }
    return 0;
}

static PyModuleDef_Slot MODULE_SLOTS[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_lines", "Lines of a block by their skeletons, in C.", 0, FUNCTIONS, MODULE_SLOTS,
                                    NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__lines(void) { return PyModuleDef_Init(&MODULE); }
