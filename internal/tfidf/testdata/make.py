"""Writes sklearn.json: vectors of scikit-learn's TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)."""
import json
from sklearn.feature_extraction.text import TfidfVectorizer

texts = ["the cat sat on the mat", "the cat and the cat ran away", "a dog ran on the mat", "cat cat cat dog", "nothing of this"]
v = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2, token_pattern=r"(?u)\w+")
x = v.fit_transform(texts[:4]).toarray().tolist() + v.transform(texts[4:]).toarray().tolist()
json.dump({"texts": texts, "terms": v.get_feature_names_out().tolist(), "vectors": x}, open("sklearn.json", "w"))
