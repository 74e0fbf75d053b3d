"""Tells benign from malignant tumours in scikit-learn's breast-cancer table."""

import pickle

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

import aurum as au

au.parameters(trees=50, depth=2, rate=0.1, seed=0)
print(f"{au.trees} trees of depth {au.depth}")

table = load_breast_cancer()
x, x_test, y, y_test = train_test_split(table.data, table.target, test_size=0.3, random_state=au.seed)
model = GradientBoostingClassifier(
    n_estimators=au.trees, max_depth=au.depth, learning_rate=au.rate, random_state=au.seed
)
model.fit(x, y)

for step, guess in enumerate(model.staged_predict_proba(x_test)):
    au.log(loss=log_loss(y_test, guess), step=step)

au.save_model(pickle.dumps(model))
au.register_metric(accuracy=model.score(x_test, y_test), error=1 - model.score(x_test, y_test))
au.end_experiment()
