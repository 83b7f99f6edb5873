"""Writes small tokenizers of every kind and what Hugging Face's tokenizers 0.23 and sentencepiece 0.2 make of lines in many
scripts: lines.json, and NAME.json, NAME.model, NAME/ with the ids in ids.json.

    pip install tokenizers sentencepiece && python make.py            # the fixtures beside this file
    python make.py FOLDER TOKENIZER...                                # 10,000 lines and their ids by given tokenizers, for
                                                                      # TLPIPE_TOKENIZERS=FOLDER go test ./internal/tokenizer
"""
import io, json, os, random, sys
from tokenizers import Tokenizer, AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

SENTENCES = """The weather is nice today, isn't it? We'll go to the café at 10:30.
Don't they've said I'm late? It's 1,234.56 dollars (about 12%).
Das Wetter ist heute schön; größere Straßen führen nach Köln.
Où est la bibliothèque ? Ça coûte 3,50 € à l'hôtel naïve.
¿Dónde está el niño? ¡Mañana hará más frío en España!
Přes hory a řeky jsme došli až k žlutému domu.
Zażółć gęślą jaźń, proszę państwa.
Đường phố Hà Nội rất đông người vào buổi sáng.
İstanbul'da ılık bir gün; IŞIK ve ışık ayrı şeylerdir.
Сегодня хорошая погода, и мы идём гулять в парк.
Сьогодні гарна погода, їжак їсть яблуко.
Ο καιρός είναι καλός σήμερα· πάμε στη ΘΆΛΑΣΣΑ, ΟΔΥΣΣΕΎΣ.
היום מזג האוויר יפה, שָׁלוֹם לכולם.
الطقس جميل اليوم، مَرْحَبًا بِكُم في المدينة.
آب و هوا امروز خوب است، می‌خواهم بروم.
आज मौसम अच्छा है, क्या हम बाहर चलें?
আজ আবহাওয়া ভালো, আমরা বাইরে যাই।
இன்று வானிலை நன்றாக இருக்கிறது.
ఈరోజు వాతావరణం బాగుంది.
วันนี้อากาศดีมาก เราไปเดินเล่นกันเถอะ
今日は天気がいいですね。公園へ行きましょう!
東京タワーはどこですか?ｶﾀｶﾅ ＡＢＣ １２３
今天天气很好，我们去公园吧。價格是３０元。
오늘 날씨가 좋네요. 공원에 갑시다.
დღეს კარგი ამინდია.
Այսօր լավ եղանակ է։
ዛሬ አየሩ ጥሩ ነው።
ᎠᏂᏴᏫᏯ ᏣᎳᎩ ꭰꮒ
😀 😃👍🏽 👨‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ ☂︎ ✌🏿 emoji!
x² + y² ≤ 10⁻³ ½ Ⅷ ① ﬁ ﬂ ㎏ ℃ ™ №
e\u0301 é A\u030a Å \u1100\u1161\u11a8 각 n\u0303o
tab\there\u00a0nbsp\u2003em\u200bzero\u200dwidth\ufeffbom soft\u00adhyphen
control\x01\x02 bell\x07 del\x7f nel\u0085 line\u2028sep null\x00end \ufffd
C:\\path\\file.txt https://example.org/a?b=c&d=%20e#f user@example.org
def f(x):\n    return x ** 2  # four   spaces\r\n\r\n\tend
[CLS] [SEP] [MASK]ed <s> </s> <mask> <pad> <unk> <extra_id_0> <|endoftext|> [UNK]x
snake_case camelCase kebab-case SHOUTING 3rd 42nd v1.2.3-beta+build
“quoted” ‘single’ —dash– …ellipsis «guillemets» „unten“ 「かぎ」
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft""".split("\n")
random.seed(1)


def lines(n):
    """Sentences, and mixtures of their words, characters and white space."""
    words = [w for s in SENTENCES for w in s.split(" ")]
    chars = [c for s in SENTENCES for c in s]
    out = list(SENTENCES) + ["", " ", "\n", "  a", "a  ", " \t b\u3000"]
    while len(out) < n:
        k = random.random()
        if k < 0.6:
            parts = random.choices(words, k=random.randint(1, 14))
        elif k < 0.8:
            parts = ["".join(random.choices(chars, k=random.randint(1, 12))) for _ in range(random.randint(1, 8))]
        elif k < 0.9:
            parts = [random.choice(SENTENCES), random.choice(SENTENCES)]
        else:
            parts = [chr(random.choice([random.randint(32, 0x2FF), random.randint(0x300, 0xD7FF), random.randint(0xF900, 0xFFFD), random.randint(0x10000, 0x1FAFF)])) for _ in range(random.randint(1, 10))]
        out.append(random.choice(["", "", " ", "\n"]) + random.choice([" ", " ", " ", "  ", "", "\u3000"]).join(parts) + random.choice(["", "", "", " ", "\n"]))
    return out[:n]


def trained(model, trainer, corpus, normalizer=None, pre=None, post=None, added=()):
    t = Tokenizer(model)
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    t.train_from_iterator(corpus, trainer)
    if added:
        t.add_special_tokens([a for a in added if not isinstance(a, AddedToken) or a.special])
        t.add_tokens([a for a in added if isinstance(a, AddedToken) and not a.special])
    if post:
        t.post_processor = post(t)
    return t


def main(here):
    corpus = SENTENCES * 3
    out = {}
    bert = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    around = lambda b, e: lambda t: processors.TemplateProcessing(single=f"{b} $A {e}", pair=f"{b} $A {e} $B:1 {e}:1", special_tokens=[(b, t.token_to_id(b)), (e, t.token_to_id(e))])
    wp = lambda: trainers.WordPieceTrainer(vocab_size=500, special_tokens=bert, show_progress=False)
    out["wordpiece_uncased"] = trained(models.WordPiece(unk_token="[UNK]"), wp(), corpus, normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer(), around("[CLS]", "[SEP]"))
    out["wordpiece_uncased"].enable_truncation(8)
    out["wordpiece_uncased"].enable_padding(length=8)
    out["wordpiece_cased"] = trained(models.WordPiece(unk_token="[UNK]"), wp(), corpus, normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer(), lambda t: processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)))
    gpt = lambda: trainers.BpeTrainer(vocab_size=560, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    out["bytes_roberta"] = trained(models.BPE(), gpt(), corpus, None, pre_tokenizers.ByteLevel(add_prefix_space=False), lambda t: processors.RobertaProcessing(("</s>", 2), ("<s>", 0)), [AddedToken("<mask>", lstrip=True, special=True)])
    llama3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    out["bytes_split"] = trained(models.BPE(ignore_merges=True), gpt(), corpus, normalizers.NFC(), pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(llama3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), None, ["<|endoftext|>"])
    clip = trained(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"),
        trainers.BpeTrainer(vocab_size=700, special_tokens=["<|startoftext|>", "<|endoftext|>"], end_of_word_suffix="</w>", initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False), corpus,
        normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]),
        pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
        around("<|startoftext|>", "<|endoftext|>"))
    out["clip"] = clip
    fallback = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    t = trained(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True), trainers.BpeTrainer(vocab_size=620, special_tokens=fallback, show_progress=False, limit_alphabet=80), [c.replace(" ", "▁") for c in corpus],
        normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, lambda t: processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)]))
    out["bpe_fallback"] = t
    out["unigram"] = trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=450, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False), corpus,
        normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]), pre_tokenizers.Metaspace(prepend_scheme="always"),
        lambda t: processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)]), [AddedToken("<extra_id_0>", lstrip=True, rstrip=True, special=True), AddedToken("café", normalized=True, single_word=True)])
    out["words"] = trained(models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=300, special_tokens=["[UNK]"], show_progress=False), corpus,
        normalizers.Sequence([normalizers.Strip(), normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]), pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("merged_with_previous")]))
    import sentencepiece as spm
    models_ = {}
    for kind, extra in {"unigram": {}, "bpe": {"byte_fallback": True, "normalization_rule_name": "identity", "remove_extra_whitespaces": False}}.items():
        blob = io.BytesIO()
        spm.SentencePieceTrainer.train(sentence_iterator=iter([s.replace("\0", "") for s in corpus]), model_writer=blob, model_type=kind, vocab_size=1000, character_coverage=0.98, hard_vocab_limit=False, minloglevel=2, user_defined_symbols=["<sep>"], **extra)
        models_["sp_" + kind] = blob.getvalue()
    # The same charsmap as tokenizer.json has it.
    from sentencepiece import sentencepiece_model_pb2 as pb
    proto = pb.ModelProto.FromString(models_["sp_unigram"])
    t = Tokenizer(models.Unigram([(p.piece, p.score) for p in proto.pieces], unk_id=0, byte_fallback=False))
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap), normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    out["unigram_precompiled"] = t

    text = lines(160)
    ids = {}
    for name, t in out.items():
        t.save(os.path.join(here, name + ".json"), pretty=False)
        t.no_truncation(); t.no_padding()
        ids[name] = [t.encode(l).ids for l in text]
    for name, blob in models_.items():
        open(os.path.join(here, name + ".model"), "wb").write(blob)
        sp = spm.SentencePieceProcessor(model_proto=blob)
        ids[name] = [sp.encode(l) for l in text]
    for name, source in {"vocab_bert": out["wordpiece_uncased"], "vocab_roberta": out["bytes_roberta"], "vocab_clip": clip}.items():
        folder = os.path.join(here, name)
        os.makedirs(folder, exist_ok=True)
        source.model.save(folder)
    ids["vocab_bert"], ids["vocab_roberta"], ids["vocab_clip"] = ids["wordpiece_uncased"], ids["bytes_roberta"], ids["clip"]
    json.dump({"lines": text, "ids": ids}, open(os.path.join(here, "ids.json"), "w"), separators=(",", ":"))


def big(folder, files):
    os.makedirs(folder, exist_ok=True)
    text = lines(10000)
    json.dump(text, open(os.path.join(folder, "lines.json"), "w"))
    for path in files:
        name = os.path.basename(os.path.dirname(os.path.abspath(path)))
        if path.endswith(".model"):
            import sentencepiece as spm
            sp = spm.SentencePieceProcessor(model_file=path)
            ids = [sp.encode(l) for l in text]
        else:
            t = Tokenizer.from_file(path)
            t.no_truncation(); t.no_padding()
            ids = [t.encode(l).ids for l in text]
        json.dump({"tokenizer": os.path.abspath(path), "ids": ids}, open(os.path.join(folder, name + ".ids.json"), "w"))


if len(sys.argv) > 2:
    big(sys.argv[1], sys.argv[2:])
else:
    main(os.path.dirname(os.path.abspath(__file__)))
