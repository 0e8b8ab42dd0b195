"""Words of other languages and the English words that stand for them (read by the builder).

The training data is almost all English. These few hundred words let a question in Chinese,
German, French or Spanish be seen as what it is: a proof, a program, a translation. Each entry
is `word:english` or `word:english,english`; Latin words are written without accents.
"""

from __future__ import annotations

_CHINESE = """
证明:prove,proof 求证:prove,show 試證:prove 證明:prove,proof 推导:derive 推導:derive
定理:theorem 引理:lemma 推论:corollary 公理:axiom 命题:proposition 命題:proposition
反证:contradiction,proof 充分必要:if,only 必要条件:necessary,condition
充分条件:sufficient,condition 当且仅当:if,only 计算:compute,calculate 計算:compute,calculate
求解:solve 解方程:solve,equation 解答:solve,answer 求出:find 求:find 解:solve 确定:determine
估算:estimate 估计:estimate 化简:simplify 因式分解:factor,polynomial 分解:factor 展开:expand
验证:verify 比较:compare 多少:how,many 几个:how,many 總共:total 总共:total 一共:total
合计:total 平均:average 总和:sum 之和:sum 乘积:product 之差:difference 余数:remainder
数学:mathematics 數學:mathematics 代数:algebra 几何:geometry 幾何:geometry 概率:probability
统计:statistics 统计学:statistics 组合数学:combinatorics 数论:number,theory 微积分:calculus
线性代数:linear,algebra 方程组:equations,system 方程:equation 不等式:inequality 函数:function
函數:function 导数:derivative 积分:integral 极限:limit 级数:series 数列:sequence
等差数列:arithmetic,sequence 等比数列:geometric,sequence 矩阵:matrix 矩陣:matrix
行列式:determinant 向量:vector 特征值:eigenvalue 集合:set 子集:subset 多项式:polynomial
整数:integer 正整数:positive,integer 自然数:natural,number 质数:prime 素数:prime
实数:real,number 复数:complex,number 有理数:rational,number 分数:fraction 小数:decimal
百分比:percent 最大值:maximum,value 最小值:minimum,value 最大:maximum 最小:minimum
公约数:divisor 公倍数:multiple 三角形:triangle 三角函数:trigonometric,function 正方形:square
长方形:rectangle 矩形:rectangle 圆形:circle 圆:circle 半径:radius 直径:diameter 角度:angle
面积:area 体积:volume 周长:perimeter 直线:line 抛物线:parabola 椭圆:ellipse 双曲线:hyperbola
坐标:coordinate 距离:distance 平行:parallel 垂直:perpendicular 排列:permutation
组合:combination 阶乘:factorial 图论:graph,theory 递归:recursive 归纳法:induction 代码:code
程式碼:code 程序:program 程式:program 编程:programming 编写:write 函数式:functional
算法:algorithm 演算法:algorithm 数组:array 陣列:array 字符串:string 字串:string 列表:list
字典:dictionary 链表:linked,list 二叉树:binary,tree 树:tree 排序:sort 查找:search 循环:loop
遍历:traverse 变量:variable 变数:variable 类:class 对象:object 接口:interface 返回:return
输入:input 輸入:input 输出:output 輸出:output 参数:parameter 异常:exception 报错:error
错误:error 错误信息:error,message 调试:debug 修复:fix 重构:refactor 优化:optimize 测试:test
单元测试:unit,test 数据库:database 查询:query 表格:table 服务器:server 网络:network 线程:thread
并发:concurrent 内存:memory 文件:file 实现:implement 實現:implement 正则表达式:regex
时间复杂度:time,complexity 复杂度:complexity 动态规划:dynamic,programming 爬虫:scraper
前端:frontend 后端:backend 网页:webpage 编译:compile 部署:deploy 写一篇:write,essay
写一首:write,poem 写一个:write 寫一篇:write,essay 寫一個:write 写:write 寫:write 改写:rewrite
重写:rewrite 润色:polish,rewrite 起草:draft 作文:essay 文章:article 论文:paper 故事:story
小说:novel 诗歌:poem 诗:poem 邮件:email 信件:letter 标题:title 段落:paragraph 句子:sentence
单词:word 词语:words 字母:letter 语气:tone 翻译:translate 翻譯:translate 翻译成:translate,into
英文:english 英语:english 中文:chinese 摘要:summary 总结:summarize 總結:summarize
概括:summarize 提取:extract 分类:classify 生成:generate 创作:write,creative 列出:list 列举:list
解释:explain 解釋:explain 说明:explain 說明:explain 描述:describe 介绍:describe 介紹:describe
分析:analyze 讨论:discuss 討論:discuss 评价:evaluate 阐述:explain 举例:example 例如:example
例子:example 定义:definition 区别:difference 区别是:difference,what
优缺点:advantages,disadvantages 建议:advice 推荐:recommend 步骤:steps 步驟:steps
一步一步:step,step 逐步:step 仔细:carefully 思考:think 推理:reasoning 格式:format
只输出:only,output 只回答:only,answer 选择:choose 選擇:choose 选项:option 下列:following
以下:following 正确:correct 不正确:incorrect 题目:question 问题:question 問題:question
回答:answer 答案:answer 为什么:why 為什麼:why 什么:what 什麼:what 是什么:what,is 谁:who
哪个:which 哪些:which 哪里:where 哪一:which 何时:when 什么时候:when 如何:how 怎么:how 怎麼:how
怎样:how 是否:whether 请:please 請:please 帮我:help 告诉我:tell 给出:give 给定:given 已知:given
假设:suppose,assume 假設:suppose,assume 设:let 若:if 如果:if 则:then 那么:then 因为:because
由于:because 因此:therefore 所以:therefore 但是:but 然而:however 或者:or 并且:and 以及:and
所有:all 每个:each 任意:any 存在:exists 至少:least 至多:most 除了:except 不能:cannot 不是:not
没有:no 从不:never 真:true 假:false 逻辑:logic 邏輯:logic 骑士:knight 说谎:liar 谜题:puzzle
数独:sudoku 棋盘:board 游戏:game 规则:rules 约束:constraints 网格:grid 迷宫:maze 计划:plan
目标:goal 动作:action 移动:moves 状态:state 积木:block 颜色:color 日期:date 时间:time
小时:hours 分钟:minutes 天:days 年:year 今天:today 星期:week 法律:law 法院:court 法官:judge
合同:contract 被告:defendant 原告:plaintiff 条款:clause 诉讼:lawsuit 刑法:criminal,law
宪法:constitution 侵权:tort 责任:liability 权利:rights 证据:evidence 犯罪:crime 专利:patent
法规:statute 患者:patient 病人:patient 疾病:disease 症状:symptoms 治疗:treatment 治療:treatment
诊断:diagnosis 药物:drug 剂量:dose 医生:doctor 手术:surgery 血液:blood 血压:blood,pressure
细胞:cells 基因:gene 蛋白质:protein 病毒:virus 癌症:cancer 糖尿病:diabetes 感染:infection
心脏:heart 大脑:brain 免疫:immune 疫苗:vaccine 医学:medicine 生物:biology 进化:evolution
物理:physics 质量:mass 質量:mass 速度:velocity 加速度:acceleration 力:force 能量:energy
动能:kinetic,energy 温度:temperature 溫度:temperature 压力:pressure 压强:pressure 电流:current
电压:voltage 电阻:resistance 电场:electric,field 磁场:magnetic,field 电子:electron 原子:atom
分子:molecule 光:light 波长:wavelength 频率:frequency 量子:quantum 相对论:relativity
重力:gravity 摩擦:friction 热力学:thermodynamics 化学:chemistry 化學:chemistry 反应:reaction
溶液:solution 浓度:concentration 元素:element 价格:price 價格:price 成本:cost
利率:interest,rate 利息:interest 利润:profit 市场:market 市場:market 税:tax 股票:stock
投资:investment 投資:investment 贷款:loan 公司:company 银行:bank 美元:dollars 元:dollars
折扣:discount 通货膨胀:inflation 经济:economics 經濟:economics 供给:supply 需求:demand
会计:accounting 资产:assets 预算:budget 收入:income 历史:history 歷史:history 地理:geography
哲学:philosophy 哲學:philosophy 心理学:psychology 社会:society 政治:politics 政府:government
战争:war 文化:culture 宗教:religion 教育:education 艺术:art 音乐:music 电影:film 国家:country
首都:capital 城市:city 世界:world 人口:population 环境:environment 气候:climate 科学:science
技术:technology 人工智能:artificial,intelligence 机器学习:machine,learning
神经网络:neural,network 模型:model 数据:data 數據:data 数字:number 数量:number 结果:result
关系:relation 方法:method 原因:cause,why 影响:effect 系统:system 信息:information 电脑:computer
手机:phone 学生:student 老师:teacher 苹果:apples 人:person 水:water 食谱:recipe 旅行:travel
聊天:chat 你好:hello 谢谢:thanks
"""

_GERMAN = """
erklare:explain erklaren:explain beschreibe:describe beschreiben:describe schreibe:write
schreiben:write schreib:write berechne:compute,calculate berechnen:compute,calculate
bestimme:determine bestimmen:determine lose:solve losen:solve beweise:prove beweisen:prove
beweis:proof zeige:show zeigen:show warum:why wieso:why wie:how wieviel:how,many viele:many
welche:which welcher:which welches:which wer:who wann:when wo:where ubersetze:translate
ubersetzen:translate zusammenfassen:summarize zusammenfassung:summary vergleiche:compare
vergleichen:compare nenne:list liste:list gib:give finde:find aufgabe:task frage:question
antwort:answer antworte:answer beispiel:example gleichung:equation funktion:function
zahl:number zahlen:numbers summe:sum dreieck:triangle kreis:circle flache:area
wahrscheinlichkeit:probability satz:sentence programm:program schritt:step schritte:steps
gedicht:poem geschichte:story aufsatz:essay gesetz:law vertrag:contract gericht:court
krankheit:disease behandlung:treatment preis:price kosten:cost wenn:if und:and oder:or
nicht:not alle:all ist:is ein:a eine:a der:the das:the bitte:please folgende:following
folgenden:following richtig:correct falsch:false ganze:integer primzahl:prime kraft:force
energie:energy geschwindigkeit:velocity
"""

_FRENCH = """
explique:explain expliquer:explain expliquez:explain decris:describe decrivez:describe
ecris:write ecrire:write ecrivez:write redige:write,draft rediger:write,draft
redigez:write,draft calcule:compute,calculate calculer:compute,calculate
calculez:compute,calculate trouve:find trouver:find trouvez:find determiner:determine
determinez:determine resous:solve resoudre:solve resolvez:solve demontre:prove demontrer:prove
demontrez:prove prouve:prove prouver:prove prouvez:prove montrer:show montrez:show pourquoi:why
combien:how,many quel:which quelle:which quels:which quelles:which quand:when traduis:translate
traduire:translate traduisez:translate resume:summary resumer:summarize resumez:summarize
comparer:compare comparez:compare donne:give donnez:give reponse:answer repondre:answer
repondez:answer exemple:example entier:integer entiers:integers nombre:number nombres:numbers
somme:sum fonction:function cercle:circle aire:area probabilite:probability phrase:sentence
mot:word programme:program etape:step etapes:steps poeme:poem histoire:story dissertation:essay
loi:law contrat:contract tribunal:court maladie:disease traitement:treatment prix:price
cout:cost si:if et:and ou:or pas:not tous:all est:is une:a les:the suivant:following
suivante:following suivants:following vrai:true faux:false vitesse:velocity
algorithme:algorithm
"""

_SPANISH = """
explica:explain explicar:explain explique:explain describe:describe describa:describe
escribe:write escribir:write escriba:write redacta:write,draft calcula:compute,calculate
calcular:compute,calculate calcule:compute,calculate encuentra:find encontrar:find
determina:determine determinar:determine resuelve:solve resolver:solve resuelva:solve
demuestra:prove demostrar:prove demuestre:prove muestra:show mostrar:show porque:because
cuanto:how,much cuantos:how,many cuantas:how,many cual:which cuales:which quien:who cuando:when
donde:where traduce:translate traducir:translate resumen:summary resumir:summarize
compara:compare comparar:compare enumera:list responde:answer respuesta:answer
pregunta:question ejemplo:example ecuacion:equation entero:integer enteros:integers
numero:number numeros:numbers suma:sum funcion:function triangulo:triangle circulo:circle
area:area probabilidad:probability frase:sentence palabra:word palabras:words codigo:code
programa:program paso:step pasos:steps poema:poem historia:story cuento:story ensayo:essay
ley:law contrato:contract enfermedad:disease tratamiento:treatment precio:price coste:cost
costo:cost todos:all una:a los:the las:the siguiente:following siguientes:following
verdadero:true falso:false primo:prime velocidad:velocity fuerza:force energia:energy
algoritmo:algorithm como:how
"""


def _entries(lines: str) -> dict[str, tuple[str, ...]]:
    pairs = (entry.partition(":") for entry in lines.split())
    return {word: tuple(english.split(",")) for word, _, english in pairs}


CHINESE: dict[str, tuple[str, ...]] = _entries(_CHINESE)
"""Terms of one to four characters or a little more; the longest that fits is taken."""

LATIN: dict[str, tuple[str, ...]] = {
    **_entries(_GERMAN),
    **_entries(_FRENCH),
    **_entries(_SPANISH),
}
"""German, French and Spanish words; those that are English words too are left to English."""
