"""Tells benign from malignant tumours."""

import pickle

import numpy
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

import aurum as au

au.parameters(trees=50, depth=2, rate=0.1, seed=0)
print(f"{au.trees} trees of depth {au.depth}")

table = numpy.loadtxt(au.dataset("tumours.csv"), delimiter=",", skiprows=1)
x, x_test, y, y_test = train_test_split(table[:, :-1], table[:, -1], test_size=0.3, random_state=au.seed)
model = GradientBoostingClassifier(
    n_estimators=au.trees, max_depth=au.depth, learning_rate=au.rate, random_state=au.seed
)
model.fit(x, y)

for step, guess in enumerate(model.staged_predict_proba(x_test)):
    au.log(loss=log_loss(y_test, guess), step=step)

accuracy = model.score(x_test, y_test)
au.save_model(pickle.dumps(model))
au.register_metric(accuracy=accuracy, error=1 - accuracy)
au.end_experiment()
