"""Models of sequences: of characters (LSTM, UGRNN, GPT, BERT), from one to another, of actions."""

from functools import partial

from phistar import metrics, optim
from phistar.cli.recipes import texts
from phistar.cli.recipes.recipe import Batch, Columns, Recipe, Rng
from phistar.data import Dataset
from phistar.language.models import Model
from phistar.zoo import bert, char_lstm, gpt, language_model, reinforce, seq2seq, ugrnn_lm

CHARACTERS = len(texts.SYMBOLS)
LENGTH = 64  # of what is guessed at a time
WINDOWS: Columns = {"text": ((LENGTH + 1,), "u8")}
NEXT = "P(the next character), at each place"


def adam(rate: float) -> optim.Optimizer:
    """Recurrences now and then have a very large gradient."""
    return optim.clip_norm(optim.Adam(rate), 1.0)


# Text ---------------------------------------------------------------------------------------------


def text() -> tuple[Dataset, Dataset]:
    """Windows of Shakespeare's plays: nine tenths to train on, one to test on."""
    train, test, _ = texts.parts(texts.shakespeare(), LENGTH, symbols=texts.SYMBOLS)
    return train, test


def some_text(rng: Rng, words: int) -> Batch:
    return {"text": rng.integers(0, words - 1, (3, 5))}


def small_lstm(rng: Rng) -> tuple[Model, Batch]:
    return char_lstm.CharLSTM(6, 3, 4), some_text(rng, 6)


def small_ugrnn(rng: Rng) -> tuple[Model, Batch]:
    return ugrnn_lm.UGRNN(6, 3, 4), some_text(rng, 6)


def small_gpt(rng: Rng) -> tuple[Model, Batch]:
    return gpt.GPT(gpt.Config(1, 2, 4, vocabulary=6, context=5)), some_text(rng, 6)


def small_bert(rng: Rng) -> tuple[Model, Batch]:
    return bert.MaskedLM(bert.Config(7, 1, 4, 2, 5, 5, dropout=0.0)), some_text(rng, 6)


of_text = partial(
    Recipe,
    data=text,
    columns=WINDOWS,
    schedule=optim.schedules.cosine,
    epochs=5,
    batch_size=32,
    measured=("test",),
    output=NEXT,
)
LSTM = of_text(
    name="char-lstm",
    summary="Shakespeare by characters: an LSTM of 256 units",
    model=partial(char_lstm.CharLSTM, CHARACTERS),
    loss=language_model.loss,
    small=small_lstm,
    optimizer=adam,
    rate=4e-3,
)
UGRNN = of_text(
    name="ugrnn-lm",
    summary="Shakespeare by characters: an update gate recurrent network of 256 units",
    model=partial(ugrnn_lm.UGRNN, CHARACTERS),
    loss=language_model.loss,
    small=small_ugrnn,
    optimizer=adam,
    rate=4e-3,
)
GPT = of_text(
    name="gpt",
    summary="Shakespeare by characters: a GPT of 4 layers, 128 features, 64 characters back",
    model=partial(gpt.GPT, gpt.Config(4, 4, 128, vocabulary=CHARACTERS, context=LENGTH + 1)),
    loss=language_model.loss,
    small=small_gpt,
    optimizer=optim.AdamW,
    rate=1e-3,
)
BERT = of_text(
    name="bert",
    summary="Shakespeare by characters: a BERT of 4 layers, 128 features, guesses some left out",
    model=partial(
        bert.MaskedLM, bert.Config(CHARACTERS + 1, 4, 128, 4, 512, LENGTH + 1, dropout=0.0)
    ),
    loss=bert.pretraining_loss,
    small=small_bert,
    optimizer=optim.AdamW,
    rate=1e-3,
    output="the score of each character, at each place",
)

# Without a text -----------------------------------------------------------------------------------


def reversals() -> tuple[Dataset, Dataset]:
    return seq2seq.reversals(20_000), seq2seq.reversals(1_000, seed=1)


def small_seq2seq(rng: Rng) -> tuple[Model, Batch]:
    data = seq2seq.reversals(3, 3, symbols=3, seed=int(rng.integers(100)))
    return seq2seq.Seq2Seq(5, 2, 3), data.batch(slice(None))


def episodes() -> tuple[Dataset, Dataset]:
    return reinforce.starts(1024), reinforce.starts(200, seed=1)


def small_policy(rng: Rng) -> tuple[Model, Batch]:
    return reinforce.Policy(hidden=3, steps=4), {"start": 0.05 * rng.normal(size=(3, 4))}


SEQ2SEQ = Recipe(
    name="seq2seq",
    summary="sequences of up to 8 symbols, read backwards: GRUs with attention",
    model=seq2seq.Seq2Seq,
    loss=seq2seq.loss,
    data=reversals,
    columns={"source": ((8,), "i64"), "length": ((), "i64"), "target": ((9,), "i64")},
    small=small_seq2seq,
    optimizer=adam,
    rate=5e-3,
    schedule=optim.schedules.cosine,
    epochs=5,
    batch_size=32,
    metrics=(metrics.accuracy(target="target", ignore_index=seq2seq.PADDING),),
    measured=("test",),
    output="P(the next word), at each place of the target",
)
REINFORCE = Recipe(
    name="reinforce",
    summary="a pole on a cart, balanced for 200 steps: policy gradient with a baseline",
    model=reinforce.Policy,
    loss=reinforce.loss,
    data=episodes,
    columns={"start": ((4,), "f32")},
    small=small_policy,
    optimizer=optim.Adam,
    rate=1e-2,
    epochs=10,
    batch_size=32,
    metrics=(reinforce.balanced,),
    measured=("test",),
    output="whether the pole still stands, after each step",
)
# fmt: off
ROWS: tuple[Recipe, ...] = (
    LSTM,
    UGRNN,
    GPT,
    BERT,
    SEQ2SEQ,
    REINFORCE,
)
# fmt: on
