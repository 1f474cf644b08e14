"""Where things stand in a schema's plan and in the working memory of the column kernels. Words are int64.

    plan     HEAD_WORDS, 32 words of classes (a byte for each kind), then COLUMN_WORDS for each step, in the order coded
    work     the constants of column_codes.py, then what one body or one block needs; a body's part is cleared before it

Hard rule: a plan is made by column_schema.py, which checks it; kernels believe it.
"""

from gateway.link.compression.column_codes import CONSTANTS_BYTES

BLOCK = 256  # records that share their codes

# Steps.
GROUP, DELTA, PLAIN, RANK, IDENTITY, KINDS, KEYS = range(7)
# What a column is predicted from: the record before, the same order's last one, the last of the same kind, the next group.
PREVIOUS, ORDER, KIND, FOLLOW = range(4)
# What a kind does with the identity column: names a new one, an earlier one, none, or an earlier one that is called anew.
CREATES, REFERS, NAMES_NONE, RENAMES = range(4)

# Head of a plan.
RECORD_BYTES, STEPS, KIND_OFFSET, IDENTITY_OFFSET, RENAME_OFFSET, SYMBOL_OFFSET, SYMBOL_WIDTH, SIDE_OFFSET = range(8)
CLASSES = 8
HEAD_WORDS = CLASSES + 32
# A step: widths are bytes, negative when signed. A default code is signed | code << 1 | floor << 4.
OPERATION, OFFSET, WIDTH, PREDICTION, SCALED, GROUPED, ABSENT, STEP, FIRST, OTHER_OFFSET, OTHER_WIDTH, RANKS = range(12)
DEFAULT = 12  # four of them
COLUMN_WORDS = 16
STEPS_MAX = 48

# Working memory, in bytes.
BITS = (
    CONSTANTS_BYTES  # what is not whole bytes yet; how many bits; where the next byte goes. Reading: -, bit, bits there are
)
UNIT = BITS + 3 * 8  # of the stream read last: what its values were divided by
HISTOGRAM = UNIT + 8
LENGTH_PAIRS = HISTOGRAM + 66 * 8
VALUES = LENGTH_PAIRS + 66 * 16  # four streams of a block
HAVE = VALUES + 4 * BLOCK * 8  # a byte a record: whether PLAIN has a prediction (1), and it holds (2)
PREDICTED = HAVE + BLOCK
SYMBOLS = PREDICTED + BLOCK * 8
NEW = SYMBOLS + BLOCK  # a byte a record: 1, its group differs from the one before
REFERENCE = NEW + BLOCK  # index of the same order's last record, or -1
LIKE = REFERENCE + BLOCK * 8  # that, or the last record of the same key, or the one before
BEFORE = LIKE + BLOCK * 8  # last record of the same kind, or -1
CLEARED = BEFORE + BLOCK * 8  # from here on zero before a body
NEWEST = CLEARED  # identity created last
KIND_LAST = NEWEST + 8  # i32 for each kind: index + 1
KEY_LAST = KIND_LAST + 256 * 4  # i32 for each hash of kind, symbol and side
STATE = KEY_LAST + 256 * 4  # two words for each step
CLEARED_BYTES = STATE + STEPS_MAX * 16 - CLEARED
IDENTITIES = CLEARED + CLEARED_BYTES  # i32 for each hash of an identity: index + 1; as many as the body needs
IDENTITY_BITS_MIN, IDENTITY_BITS_MAX = 6, 16
WORK_BYTES = IDENTITIES + (4 << IDENTITY_BITS_MAX)

VALUE_BYTES_MAX = 10  # of one coded value
SLACK_BYTES = BLOCK * VALUE_BYTES_MAX * 4 + 64  # behind a body: what one step may write, or read, before it is checked
